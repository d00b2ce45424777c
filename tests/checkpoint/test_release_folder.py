"""Releases: folders of weights and their description."""

import json

import colours
import commands
import jax
import numpy as np
import pytest

from darkjax import checkpoint
from darkjax.checkpoint import release_folder
from darkjax.inference.pose import Pose
from darkjax.metrics.calibration import Calibration

CALIBRATION = Calibration(
  "dark", True, 0.05, (0.5, 1.5, -1.0, -2.0), (-3.5, -0.5, 0.7, 0.4)
)
MODEL = {"name": "hrnet_small", "num_keypoints": 3, "modules": (1,)}
METADATA = checkpoint.Metadata(
  colours.make_convention(), MODEL, {"seed": 0}, CALIBRATION
)
TREE = {
  "params": {"stem": {"kernel": np.linspace(-2, 2, 12).reshape(3, 4)}},
  "batch_stats": {"norm": {"var": np.array([1e-9, 3.0])}},
}
METRICS = {"dark/AP/gt_boxes": 54.2}


def write(folder, metadata=METADATA, **changes):
  options = {"licence": "research only", "metrics": METRICS} | changes
  checkpoint.save_release(folder, TREE, metadata, **options)


def test_what_is_written_is_read(tmp_path):
  folder = tmp_path / "new" / "release"
  write(folder)
  assert sorted(path.name for path in folder.iterdir()) == [
    "config.json",
    "model.safetensors",
  ]
  read, metadata = checkpoint.load(folder)
  assert metadata == METADATA._replace(config={})
  jax.tree.map(
    lambda a, b: np.testing.assert_allclose(a, b, rtol=2**-11), read, TREE
  )
  with pytest.raises(ValueError, match="a release, without steps; got 3"):
    checkpoint.load(folder, step=3)


def test_the_description_says_what_the_weights_are(tmp_path):
  write(tmp_path)
  described = json.loads((tmp_path / "config.json").read_text())
  assert described["licence"] == "research only"
  assert described["metrics"] == METRICS
  assert described["model"] == MODEL | {"modules": [1]}
  assert described["convention"]["crop_size"] == [64, 48]
  skeleton = described["convention"]["skeleton"]
  assert skeleton["keypoint_names"] == ["red", "green", "blue"]
  assert described["calibration"]["tolerance"] == 0.05
  assert "config" not in described


def test_a_release_replaces_a_release_and_nothing_else(tmp_path):
  write(tmp_path / "a")
  write(tmp_path / "a", METADATA._replace(calibration=None), licence="MIT")
  assert checkpoint.load(tmp_path / "a")[1].calibration is None
  (tmp_path / "b" / "checkpoints").mkdir(parents=True)
  with pytest.raises(ValueError, match="b holds something else"):
    write(tmp_path / "b")


def test_licence_and_metrics_may_change_afterwards(tmp_path):
  write(tmp_path)
  path = tmp_path / "config.json"
  described = json.loads(path.read_text())
  path.write_text(json.dumps(described | {"licence": "MIT", "metrics": {}}))
  assert checkpoint.load(tmp_path)[1].convention == METADATA.convention


def test_a_run_is_no_release(tmp_path):
  """Its folder has a config.json of its own."""
  checkpoint.save_variables(
    tmp_path / "checkpoints", TREE, METADATA.convention, MODEL
  )
  (tmp_path / "config.json").write_text("{}")
  assert checkpoint.load(tmp_path, step=0)[1].model == MODEL
  with pytest.raises(ValueError, match="holds something else"):
    write(tmp_path)


def test_a_release_needs_a_licence(tmp_path):
  with pytest.raises(ValueError, match="how its weights may be used"):
    write(tmp_path / "a", licence=" ")
  assert not (tmp_path / "a").exists()


def remove(name):
  return lambda folder: (folder / name).unlink()


def change(name, function):
  def damage(folder):
    path = folder / name
    path.write_bytes(function(path.read_bytes()))

  return damage


def flip_last_bit(data):
  return data[:-1] + bytes([data[-1] ^ 1])


DAMAGES = {
  "no description": (remove("config.json"), r"has no config\.json: a release"),
  "no weights": (
    remove("model.safetensors"),
    r"no checkpoint in .* or a folder with model\.safetensors",
  ),
  "half a description": (
    change("config.json", lambda data: data[:90]),
    r"config\.json: not valid json",
  ),
  "another json": (
    change("config.json", lambda _: b"[1]"),
    r"config\.json describes a release in an object, got list",
  ),
  "other sizes": (
    change("config.json", lambda data: data.replace(b"64", b"96")),
    r"config\.json: its convention is not that of model",
  ),
  "another model": (
    change("config.json", lambda data: data.replace(b"hrnet_small", b"x")),
    r"config\.json: its model is not that of model",
  ),
  "a flipped bit": (
    change("model.safetensors", flip_last_bit),
    r"model\.safetensors is not a file of weights .* or it is damaged",
  ),
  "half the weights": (
    change("model.safetensors", lambda data: data[:500]),
    r"model\.safetensors is not a file of weights .* or it is damaged",
  ),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_damaged_releases_are_named(name, tmp_path):
  damage, message = DAMAGES[name]
  write(tmp_path)
  damage(tmp_path)
  with pytest.raises((FileNotFoundError, ValueError), match=message) as raised:
    Pose.from_pretrained(tmp_path)
  assert str(tmp_path) in str(raised.value)


def test_metadata_of_a_damaged_calibration_are_refused(tmp_path):
  class Damaged(checkpoint.Metadata):
    def to_json(self):
      fields = super().to_json()
      return fields | {"calibration": {"method": "dark"}}

  write(tmp_path, Damaged(*METADATA))
  with pytest.raises(ValueError, match="metadata of the checkpoint in"):
    checkpoint.load(tmp_path)


@pytest.mark.parametrize("metrics", [None, '{"dark/AP": 54.2, "odd": NaN}'])
def test_the_command_writes_a_folder(metrics, tmp_path):
  run, out = tmp_path / "run", tmp_path / "release"
  checkpoint.save_variables(run, TREE, METADATA.convention, MODEL)
  arguments = [f"--checkpoint={run}", f"--out={out}", "--licence=MIT"]
  if metrics:
    (tmp_path / "m.json").write_text(metrics)
    arguments.append(f"--metrics={tmp_path / 'm.json'}")
  done = commands.run("release", *arguments)
  assert done.returncode == 0, done.stderr
  assert checkpoint.load(out)[1].model == MODEL
  described = json.loads((out / release_folder.CONFIG).read_text())
  assert described["licence"] == "MIT"
  assert described["metrics"] == ({"dark/AP": 54.2} if metrics else {})


def test_a_folder_may_have_a_dot_in_its_name(tmp_path):
  write(tmp_path / "a")
  out = tmp_path / "hrnet-v1.0"
  arguments = [f"--checkpoint={tmp_path / 'a'}", f"--out={out}"]
  done = commands.run("release", *arguments, "--licence=MIT")
  assert done.returncode == 0, done.stderr
  assert checkpoint.load(out)[1].model == MODEL


def test_the_command_names_what_is_missing(tmp_path):
  write(tmp_path / "a")
  arguments = [f"--checkpoint={tmp_path / 'a'}", f"--out={tmp_path / 'b'}"]
  done = commands.run("release", *arguments)
  assert done.returncode == 2
  assert "--licence=" in done.stderr
  assert done.stderr.count("\n") == 1
  (tmp_path / "m.json").write_text('{"AP": "good"}')
  arguments += ["--licence=MIT", f"--metrics={tmp_path / 'm.json'}"]
  done = commands.run("release", *arguments)
  assert done.returncode == 2
  assert "metrics are an object of numbers" in done.stderr
