"""`Predictor`: read from checkpoints, with the decoder that suits the head."""

import dataclasses
import json
import signal

import commands
import jax
import numpy as np
import PIL.Image
import pytest
import small_network

from darkjax import checkpoint, models
from darkjax.evaluate.predict import default_methods
from darkjax.inference.pose import Pose
from darkjax.inference.predictor import Predictor

MODEL = {
  "name": "hrnet_small",
  "num_keypoints": 3,
  "channels": 4,
  "stem_features": 4,
  "stage1_features": 4,
  "modules": (1,),
  "blocks": 1,
}
BOX = [5.0, 5.0, 40.0, 70.0]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
  """Weights of a head of each kind, "gaussian" and "softmax", and a photo."""
  folder = tmp_path_factory.mktemp("heads")
  rng = np.random.default_rng(3)
  shapes = jax.eval_shape(
    models.create_model(**MODEL).init,
    jax.eval_shape(jax.random.key, 0),
    jax.ShapeDtypeStruct((1, 64, 32, 3), np.float32),
  )
  variables = {
    "params": jax.tree.map(
      lambda leaf: rng.normal(0.0, 0.3, leaf.shape).astype(np.float32),
      shapes["params"],
    ),
    "batch_stats": jax.tree.map(
      lambda leaf: np.ones(leaf.shape, np.float32), shapes["batch_stats"]
    ),
  }
  for head in ("gaussian", "softmax"):
    convention = dataclasses.replace(
      small_network.GAUSSIAN,
      crop_size=(64, 32),
      heatmap_size=(16, 8),
      head=head,
    )
    checkpoint.save_variables(folder / head, variables, convention, MODEL)
  pixels = rng.integers(0, 256, (90, 70, 3), np.uint8)
  PIL.Image.fromarray(pixels).save(folder / "photo.png")
  (folder / "boxes.json").write_text(
    json.dumps([{"file_name": "photo.png", "bbox": BOX}])
  )
  return folder


def keypoints_of(pose: Pose, folder) -> np.ndarray:
  (person,) = pose(folder / "photo.png", [BOX])
  return person.keypoints_image


@pytest.fixture
def sigterm():
  """Restores the handler of SIGTERM, which `predict` sets."""
  before = signal.getsignal(signal.SIGTERM)
  yield
  signal.signal(signal.SIGTERM, before)


def predicted(folder, out, *arguments) -> np.ndarray:
  """[K, 2] keypoints of `darkjax predict`."""
  done = commands.run(
    "predict",
    *arguments,
    f"--boxes={folder / 'boxes.json'}",
    f"--out={out}",
    "--nopictures",
    "--batch_size=1",
    folder / "photo.png",
  )
  assert done.returncode == 0, done.stderr
  (record,) = json.loads((out / "results.json").read_text())
  return np.reshape(record["keypoints"], (3, 3))[:, :2]


def test_pose_and_predict_use_the_decoder_of_the_head(
  folder, tmp_path, sigterm
):
  weights = folder / "softmax"
  integral = keypoints_of(
    Pose.from_checkpoint(weights, method="integral"), folder
  )
  dark = keypoints_of(Pose.from_checkpoint(weights, method="dark"), folder)
  # image px: the mean of a map and its maximum are cells of 9 px apart.
  assert np.abs(integral - dark).max() > 2
  default = keypoints_of(Pose.from_checkpoint(weights), folder)
  np.testing.assert_array_equal(default, integral)
  chosen = f"--checkpoint={weights}"
  for arguments, expected in (
    ([chosen], integral),
    ([chosen, "--method=integral"], integral),
    ([chosen, "--method=dark"], dark),
  ):
    found = predicted(folder, tmp_path / "out", *arguments)
    # px: two digits are written.
    np.testing.assert_allclose(found, expected, atol=0.01)


def test_export_uses_the_decoder_of_the_head(folder, tmp_path):
  for head, arguments, method in (
    ("softmax", [], "integral"),
    ("softmax", ["--method=argmax"], "argmax"),
    ("gaussian", [], "dark"),
  ):
    out = tmp_path / f"{head}_{method}"
    done = commands.run(
      "export",
      f"--checkpoint={folder / head}",
      "--format=stablehlo",
      f"--out={out}",
      "--noflip_test",
      *arguments,
    )
    assert done.returncode == 0, done.stderr
    description = json.loads((out / "darkjax.json").read_text())
    assert description["method"] == method


@pytest.mark.parametrize("name", ["predict", "export", "evaluate"])
def test_heatmaps_cannot_be_integrated(name, folder, tmp_path, sigterm):
  """One line says so, before anything is read or written."""
  out = tmp_path / "out"
  arguments = {
    "predict": ["--method=integral", f"--out={out}", folder / "photo.png"],
    "export": ["--method=integral", f"--out={out}", "--format=stablehlo"],
    "evaluate": ["--methods=dark,integral"],
  }
  done = commands.run(
    name, f"--checkpoint={folder / 'gaussian'}", *arguments[name]
  )
  assert done.returncode == 2
  (line,) = done.stderr.splitlines()
  assert "method 'integral' reads the probabilities of a softmax head" in line
  assert not out.exists()


def test_evaluation_uses_every_decoder_and_the_default_one_last():
  assert default_methods(small_network.GAUSSIAN) == (
    "argmax",
    "standard",
    "dark",
  )
  assert default_methods(small_network.SOFTMAX)[-1] == "integral"


def test_predictors_that_differ_in_weights_alone_are_equal(folder):
  predictor = Predictor.from_checkpoint(folder / "gaussian")
  other = dataclasses.replace(predictor, variables={})
  assert predictor == other
  assert hash(predictor) == hash(other)
  assert predictor != dataclasses.replace(predictor, flip_test=False)
  assert predictor.config == {}
