"""Files of ONNX whose outputs are known, in place of detectors."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

CHANNEL_MEANS = "channel means"  # of the input, as an output
_TYPES = {
  "float32": TensorProto.FLOAT,
  "float16": TensorProto.FLOAT16,
  "uint8": TensorProto.UINT8,
  "int64": TensorProto.INT64,
}


def save(
  path,
  outputs,
  *,
  shape=(1, 3, 64, 96),
  dtype="float32",
  with_sizes=False,
  metadata=None,
):
  """Writes a network of constant outputs.

  Args:
    path: of the file.
    outputs: arrays by name; `CHANNEL_MEANS` in place of one is the means over
      the last two axes as one box (0, 0, 64, 64), the mean of the first channel
      its score, that of the second, rounded, its class: [1, 1, 6].
    shape: of the input "images", with names for open dimensions.
    dtype: of the input.
    with_sizes: add an input "orig_target_sizes", the corner of a box.
    metadata: texts of the file by name.

  Returns:
    The path.
  """
  inputs = [helper.make_tensor_value_info("images", _TYPES[dtype], shape)]
  nodes, constants, results = [], [], []
  if with_sizes:
    name = "orig_target_sizes"
    inputs.append(
      helper.make_tensor_value_info(name, TensorProto.INT64, [1, 2])
    )
  for name, array in outputs.items():
    if isinstance(array, str):
      nodes += _means(name, constants)
      kind = TensorProto.FLOAT
    else:
      kind = _TYPES[str(array.dtype)]
      constants.append(numpy_helper.from_array(array, f"{name}_value"))
      if with_sizes and name == "boxes":  # parts of the size, as of RT-DETR
        nodes += _scaled(name)
      else:
        nodes.append(helper.make_node("Identity", [f"{name}_value"], [name]))
    results.append(helper.make_tensor_value_info(name, kind, None))
  graph = helper.make_graph(nodes, "detector", inputs, results, constants)
  model = helper.make_model(
    graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8
  )
  helper.set_model_props(model, metadata or {})
  onnx.save(model, path)
  return path


def _scaled(name):
  return [
    helper.make_node(
      "Cast", ["orig_target_sizes"], ["sides"], to=TensorProto.FLOAT
    ),
    helper.make_node("Concat", ["sides", "sides"], ["twice"], axis=1),
    helper.make_node("Mul", [f"{name}_value", "twice"], [name]),
  ]


def _means(name, constants):
  constants += [
    numpy_helper.from_array(np.array([[0, 0, 64, 64]], np.float32), "corners"),
    numpy_helper.from_array(np.array([0, 1], np.int64), "first_two"),
    numpy_helper.from_array(np.array([0], np.int64), "axis"),
  ]
  return [
    helper.make_node("Cast", ["images"], ["floats"], to=TensorProto.FLOAT),
    helper.make_node(
      "ReduceMean", ["floats"], ["means"], axes=[-2, -1], keepdims=0
    ),
    helper.make_node("Gather", ["means", "first_two"], ["two"], axis=1),
    helper.make_node("Concat", ["corners", "two"], ["row"], axis=1),
    helper.make_node("Unsqueeze", ["row", "axis"], [name]),
  ]
