"""Upsampling in an ONNX graph, by the operator that runtimes know for it.

jax2onnx writes the repetition of cells as Reshape, Expand and Reshape with
sizes that are computed when the graph runs. ONNX Runtime leaves its blocked
layout for each of them, and does not add what follows inside the convolutions:
HRNet-W32 took a tenth longer. `use_resize` finds them and puts Resize there.
"""

from typing import Any, NamedTuple

import numpy as np


class _Upsampling(NamedTuple):
  """Cells repeated: what of, the node that gives the result, how often."""

  source: str
  result: Any
  factors: tuple[int, int]


def use_resize(model: Any) -> int:
  """Replaces repetitions of [B, H, W, C] by Resize, in place.

  Args:
    model: an `onnx.ModelProto` from jax2onnx, of opset 13 or newer.

  Returns:
    How many there were.
  """
  from onnx import helper, numpy_helper

  graph = model.graph
  found = _Names(graph).upsamplings()
  for n, (source, result, factors) in enumerate(found):
    scales = np.array([1, *factors, 1], np.float32)
    graph.initializer.append(numpy_helper.from_array(scales, f"repeat_{n}"))
    result.CopyFrom(
      helper.make_node(
        "Resize",
        [source, "", f"repeat_{n}"],
        list(result.output),
        name=f"upsample_{n}",
        mode="nearest",
        nearest_mode="floor",
        coordinate_transformation_mode="asymmetric",
      )
    )
  _remove_unused(graph)
  return len(found)


class _Names:
  """A graph's nodes and constants by the names of what they give and take."""

  def __init__(self, graph):
    from onnx import numpy_helper

    self._nodes = graph.node
    self._giving = {name: node for node in graph.node for name in node.output}
    self._taking = {}
    for node in graph.node:
      for name in _taken(node):
        self._taking.setdefault(name, []).append(node)
    self._shapes = {
      value.name: [
        side.dim_value if side.HasField("dim_value") else None
        for side in value.type.tensor_type.shape.dim
      ]
      for value in (*graph.value_info, *graph.input)
    }
    self._constants = {
      one.name: numpy_helper.to_array(one)
      for one in graph.initializer
      if one.data_type == one.INT64
    }

  def upsamplings(self) -> list[_Upsampling]:
    """Every repetition of cells along both axes of an image."""
    all_found = map(self._upsampling, self._nodes)
    return [found for found in all_found if found]

  def _upsampling(self, expand) -> _Upsampling | None:
    """[b, H, W, C] -> [b, H, 1, W, 1, C] -> [b, H, f, W, g, C] -> result."""
    if expand.op_type != "Expand":
      return None
    thin = self._giving.get(expand.input[0])
    takers = self._taking.get(expand.output[0], [])
    results = [node for node in takers if node.op_type != "Shape"]
    kinds = [node.op_type for node in (thin, *results) if node]
    if kinds != ["Reshape", "Reshape"]:
      return None
    before, after = self._sides(thin.input[1]), self._sides(expand.input[1])
    result = self._sides(results[0].input[1])
    source = self._shapes.get(thin.input[0], [])
    match source, before, after, result:
      case [_, h, w, c], [b, *narrow], [b_after, *wide], [_, *image]:
        f, g = (wide[i] if len(wide) == 5 else None for i in (1, 3))
        if (
          None not in (h, w, c, f, g)
          and b == b_after  # None: both are the open number of people
          and narrow == [h, 1, w, 1, c]
          and wide == [h, f, w, g, c]
          and image == [h * f, w * g, c]
        ):
          return _Upsampling(thin.input[0], results[0], (f, g))
    return None

  def _sides(self, name) -> list[int | None]:
    """The entries of a shape; None for those that are computed."""
    if name in self._constants:
      return self._constants[name].ravel().tolist()
    node = self._giving.get(name)
    if node is None or node.op_type != "Concat":
      return [None]
    return [
      side
      for part in node.input
      for side in self._constants.get(part, np.array([None])).ravel().tolist()
    ]


def _taken(node) -> set[str]:
  """Names that a node takes, by the branches of a condition too."""
  names = set(node.input)
  for attribute in node.attribute:
    for inner in attribute.g.node:
      names |= _taken(inner)
    names |= {output.name for output in attribute.g.output}
  return names


def _remove_unused(graph) -> None:
  """Removes nodes and constants that nothing takes."""
  needed = {output.name for output in graph.output}
  for index in reversed(range(len(graph.node))):
    node = graph.node[index]
    if needed.isdisjoint(node.output):
      del graph.node[index]
    else:
      needed.update(_taken(node))
  for kept in (graph.initializer, graph.value_info):
    for index in reversed(range(len(kept))):
      if kept[index].name not in needed:
        del kept[index]
