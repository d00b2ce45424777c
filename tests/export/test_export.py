"""What leaves JAX gives the keypoints that JAX gives."""

import dataclasses
import json
import math
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import small_network

from darkjax import checkpoint, geometry, models
from darkjax.data.images import photo
from darkjax.export import description, formats
from darkjax.inference.predictor import Predictor

# In crop px, what the formats promise; the runtimes here differ by 1e-5.
TOLERANCE = 1e-3

# Loads the file with JAX alone, in a process of its own.
RELOAD = """
import pathlib, sys
import numpy as np
from jax import export
folder = pathlib.Path(sys.argv[1])
content = (folder / "model.stablehlo").read_bytes()
exported = export.deserialize(bytearray(content))
found = exported.call(np.load(folder / "crops.npy"))
np.save(folder / "found.npy", np.asarray(found))
assert "darkjax" not in sys.modules
"""


@pytest.fixture(scope="module")
def predictor():
  """A network with random weights, flip test and dark decoder."""
  return _predictor(small_network.GAUSSIAN)


def _predictor(convention, **options):
  model = small_network.SmallNetwork()
  variables = model.init(jax.random.key(1), jnp.zeros((1, 48, 32, 3)))
  variables = jax.tree.map(np.asarray, variables)
  statistics = np.random.default_rng(2)
  norm = variables["batch_stats"]["norm"]
  norm["mean"] = statistics.normal(size=6).astype(np.float32)
  norm["var"] = statistics.uniform(0.5, 2.0, 6).astype(np.float32)
  return Predictor(model, variables, convention, **options)


@pytest.fixture(scope="module")
def crops(test_data):
  """Five crops [48, 32, 3] of photographs."""
  paths = sorted((test_data / "lsp" / "images").rglob("*.jpg"))[:5]
  pixels = [photo.read(path) for path in paths]
  boxes = [[20.0, 10.0, p.shape[1] - 40.0, p.shape[0] - 20.0] for p in pixels]
  convention = small_network.GAUSSIAN
  return np.stack(
    [
      photo.warp(p, convention.crop_from_box(box)[2], convention.crop_size)
      for p, box in zip(pixels, boxes, strict=True)
    ]
  )


@pytest.fixture(scope="module")
def expected(predictor, crops):
  return np.asarray(jax.jit(predictor.__call__)(crops))


def test_keypoints_are_in_crop_pixels():
  """A bright block at crop rows 20-23 and columns 8-11 is heatmap (2, 5)."""

  class Brightness:
    def apply(self, variables, pixels, *, train):
      del variables, train
      cells = pixels.reshape(-1, 12, 4, 8, 4, 3).mean((2, 4))
      return cells - cells.min((1, 2), keepdims=True)

  convention = small_network.GAUSSIAN
  predictor = Predictor(
    Brightness(), {}, convention, method="argmax", flip_test=False
  )
  crops = np.zeros((1, 48, 32, 3), np.uint8)
  crops[:, 20:24, 8:12] = 255
  found = np.asarray(predictor(crops))
  # dark alignment: the corners (0, 0) and the right border correspond, so a
  # step of the heatmap is 31/7 crop px and the middles lie on each other.
  x, y = 2 * 31 / 7, 23.5 + (5 - 5.5) * 31 / 7
  np.testing.assert_allclose(found[0, :, :2], [[x, y]] * 3, atol=1e-4)
  # White is 1/std apart from black in normalised pixels.
  np.testing.assert_allclose(
    found[0, :, 2], 1 / np.array([0.229, 0.224, 0.225]), rtol=1e-5
  )


def test_stablehlo_in_a_fresh_process(predictor, crops, expected, tmp_path):
  folder = tmp_path / "new"
  path = formats.write(predictor, folder, format="stablehlo")
  assert path == folder / "model.stablehlo"
  np.save(folder / "crops.npy", crops)
  subprocess.run([sys.executable, "-c", RELOAD, str(folder)], check=True)
  found = np.load(folder / "found.npy")
  np.testing.assert_allclose(found, expected, atol=TOLERANCE)


@pytest.mark.filterwarnings("default")  # TensorFlow's own
def test_savedmodel_in_tensorflow(predictor, crops, expected, tmp_path):
  import tensorflow as tf

  path = formats.write(predictor, tmp_path / "new", format="savedmodel")
  loaded = tf.saved_model.load(str(path))
  for count in (5, 2):  # the batch is open
    found = loaded.find(crops[:count])["keypoints"].numpy()
    np.testing.assert_allclose(found, expected[:count], atol=TOLERANCE)
  served = loaded.signatures["serving_default"](images=tf.constant(crops))
  np.testing.assert_allclose(served["keypoints"], expected, atol=TOLERANCE)


@pytest.mark.filterwarnings("default")  # of the converter's many packages
@pytest.mark.parametrize(
  ("convention", "options"),
  [
    (small_network.GAUSSIAN, {}),
    (small_network.GAUSSIAN, {"border": "official"}),
    (small_network.GAUSSIAN, {"method": "standard", "flip_test": False}),
    (small_network.SOFTMAX, {"method": "integral"}),
  ],
)
def test_onnx_in_its_runtime(convention, options, crops, tmp_path):
  pytest.importorskip("jax2onnx", reason="needs darkjax[onnx], 160 MB")
  ort = pytest.importorskip("onnxruntime")
  # A kernel of 11, whose border correction has a closed form, halves the time
  # of the conversion.
  convention = dataclasses.replace(convention, blur_kernel=11)
  predictor = _predictor(convention, **options)
  path = formats.write(predictor, tmp_path / "new", format="onnx")
  session = ort.InferenceSession(path, providers=["CPUExecutionProvider"])
  for count in (5, 2):
    found = session.run(["keypoints"], {"images": crops[:count]})[0]
    expected = predictor(crops[:count])
    np.testing.assert_allclose(found, expected, atol=TOLERANCE)


def test_reads_a_checkpoint(tmp_path):
  model = {"name": "hourglass_small", "num_keypoints": 3}
  network = models.create_model(**model)
  shapes = jax.eval_shape(
    network.init, jax.random.key(0), jnp.zeros((1, 64, 64, 3))
  )
  zeros = jax.tree.map(lambda x: np.zeros(x.shape, x.dtype), shapes)
  convention = dataclasses.replace(
    small_network.GAUSSIAN, crop_size=(64, 64), heatmap_size=(16, 16)
  )
  checkpoint.save_variables(tmp_path / "weights", zeros, convention, model)
  predictor = Predictor.from_checkpoint(tmp_path / "weights", method="argmax")
  assert predictor.convention == convention
  exported = jax.export.deserialize(bytearray(formats.to_stablehlo(predictor)))
  assert exported.platforms == ("cpu", "cuda", "tpu")
  assert exported.in_avals[0].str_short() == "uint8[b,64,64,3]"
  assert exported.out_avals[0].str_short() == "float32[b,3,3]"


@pytest.mark.parametrize("alignment", geometry.ALIGNMENTS)
@pytest.mark.parametrize("box", [(3.0, 5.0, 40.0, 210.0), (9.0, 4.0, 0.1, 0.1)])
def test_the_recipe_of_the_crop_is_the_convention_s(alignment, box, predictor):
  convention = dataclasses.replace(
    small_network.GAUSSIAN, alignment=alignment, padding=1.2
  )
  predictor = dataclasses.replace(predictor, convention=convention)
  recipe = json.loads(json.dumps(description.describe(predictor)))["crop"]
  for bbox in (box, recipe["example"]["box"]):
    names = dict(zip("xywh", bbox, strict=True))
    for step in recipe["steps"]:
      exec(step, names)
    (factor_x, _, offset_x), (_, factor_y, offset_y) = convention.crop_from_box(
      np.array(bbox)
    )[2]
    assert math.isclose(names["factor_x"], factor_x)
    assert math.isclose(names["factor_y"], factor_y)
    assert math.isclose(names["offset_x"], offset_x, abs_tol=1e-9)
    assert math.isclose(names["offset_y"], offset_y, abs_tol=1e-9)
  assert recipe["example"]["factor_y"] == factor_y
  assert recipe["example"]["offset_y"] == offset_y


def test_covariances_are_further_columns(predictor, crops, expected):
  predictor = dataclasses.replace(predictor, covariances=True)
  found = np.asarray(jax.jit(predictor.__call__)(crops))
  np.testing.assert_array_equal(found[..., :3], expected)
  # Crop px in a step of the heatmap, dark alignment.
  step = 31 / 7
  identity = np.tile(np.eye(2, 3, dtype=np.float32), (5, 1, 1))
  located = predictor.locate(predictor.variables, crops, identity)
  covariances = np.asarray(located.covariances) * step**2
  columns = found[..., [3, 4, 4, 5]].reshape(5, 3, 2, 2)
  np.testing.assert_allclose(columns, covariances, rtol=1e-3)
  assert description.describe(predictor)["output"]["shape"] == ["batch", 3, 6]


def test_the_description_has_input_output_and_convention(predictor, tmp_path):
  formats.write(predictor, tmp_path / "new", format="stablehlo")
  text = json.loads((tmp_path / "new" / "darkjax.json").read_text())
  assert text["input"]["shape"] == ["batch", 48, 32, 3]
  assert text["output"]["shape"] == ["batch", 3, 3]
  assert text["keypoint_names"] == ["nose", "left_eye", "right_eye"]
  assert text["convention"]["alignment"] == "dark"
  assert (text["method"], text["flip_test"]) == ("dark", True)


def test_unknown_format(predictor, tmp_path):
  with pytest.raises(ValueError, match=r"one of .*'onnx'.* got 'tflite'"):
    formats.write(predictor, tmp_path / "new", format="tflite")
  assert not (tmp_path / "new").exists()


def test_a_folder_that_is_not_empty(predictor, tmp_path):
  (tmp_path / "mine.txt").write_text("kept")
  with pytest.raises(ValueError, match="new or empty folder"):
    formats.write(predictor, tmp_path, format="stablehlo")
  with pytest.raises(ValueError, match="new or empty folder"):
    formats.write(predictor, tmp_path / "mine.txt", format="stablehlo")


def test_missing_extra_leaves_no_folder(predictor, tmp_path, monkeypatch):
  monkeypatch.setitem(sys.modules, "jax2onnx", None)
  with pytest.raises(ImportError, match=r"jax2onnx: .*darkjax\[onnx\]"):
    formats.write(predictor, tmp_path / "new", format="onnx")
  assert not (tmp_path / "new").exists()
