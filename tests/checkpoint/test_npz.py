"""Files of weights: what is written is read, and nothing else is."""

import os
import subprocess
import sys

import colours
import jax
import numpy as np
import pytest

from darkjax import checkpoint, models
from darkjax.checkpoint import npz

MODEL = {"name": "hrnet_small", "num_keypoints": 17}
TREE = {
  "params": {"stem": {"kernel": np.linspace(-2, 2, 12).reshape(3, 4)}},
  "batch_stats": {"norm": {"var": np.array([1e-9, 3.0])}},
}


@pytest.fixture(scope="module")
def variables():
  model = models.create_model(**MODEL)
  images = np.zeros((1, 64, 32, 3), np.float32)
  return jax.jit(model.init)(jax.random.key(0), images)


def test_what_is_written_is_read(tmp_path):
  path = tmp_path / "weights.npz"
  npz.write(path, TREE, {"made": "here"})
  read, fields = npz.read(path)
  assert fields == {"made": "here"}
  assert jax.tree.structure(read) == jax.tree.structure(TREE)
  assert {leaf.dtype for leaf in jax.tree.leaves(read)} == {np.dtype("f4")}
  # Half precision has 11 bits; statistics have float32's 24, however small.
  kernels = (tree["params"]["stem"]["kernel"] for tree in (read, TREE))
  np.testing.assert_allclose(*kernels, rtol=2**-11)
  variances = (tree["batch_stats"]["norm"]["var"] for tree in (read, TREE))
  np.testing.assert_allclose(*variances, rtol=2**-24)


def test_a_run_becomes_a_file_that_goes_where_its_folder_goes(
  variables, tmp_path
):
  convention = colours.make_convention(crop_size=(64, 32), heatmap_size=(16, 8))
  folder, path = tmp_path / "run", tmp_path / "weights.npz"
  checkpoint.save_variables(folder, variables, convention, MODEL)
  command = [sys.executable, "-m", "darkjax.release"]
  subprocess.run(
    [*command, f"--checkpoint={folder}", f"--out={path}"],
    env=os.environ,
    check=True,
  )
  kept, metadata = checkpoint.load(path)
  with pytest.raises(ValueError, match="one file, without steps"):
    checkpoint.load(path, step=0)
  assert metadata == checkpoint.Metadata(convention, MODEL, {})
  exact = checkpoint.load(folder)[0]
  jax.tree.map(
    lambda a, b: np.testing.assert_allclose(a, b, rtol=2**-11, atol=2**-25),
    kept,
    exact,
  )


@pytest.mark.parametrize(
  ("path", "tree", "message"),
  [
    ("weights.ckpt", TREE, "ends with .npz"),
    ("w.npz", TREE | {"cache": {}}, "holds \\['params', 'batch_stats'\\]"),
    ("w.npz", {"params": {"a": np.array(1e6)}}, "params/a is not finite"),
    ("w.npz", {"params": {"a": np.array(np.nan)}}, "params/a is not finite"),
  ],
)
def test_what_the_file_cannot_hold_is_refused(path, tree, message, tmp_path):
  with pytest.raises(ValueError, match=message):
    npz.write(tmp_path / path, tree, {})
  assert not (tmp_path / path).exists()


def damaged(path):
  npz.write(path, TREE, {})
  path.write_bytes(path.read_bytes()[:200])


def damaged_inside(path):
  noise = np.random.default_rng(0).normal(size=20_000)
  npz.write(path, {"params": {"a": noise}}, {})
  content = bytearray(path.read_bytes())
  content[4_000:8_000] = bytes(4_000)
  path.write_bytes(content)


def names_that_clash(path):
  np.savez(path, metadata="{}", params=np.ones(3), **{"params/a": np.ones(3)})


def array_alone(path):
  with path.open("wb") as file:
    np.save(file, np.ones(3))


def of_objects(path):
  np.savez(path, metadata="{}", evil=np.array([object()], dtype=object))


@pytest.mark.parametrize(
  "write",
  [
    damaged,
    of_objects,
    lambda path: np.savez(path, weights=np.ones(3)),
    lambda path: path.write_text("not an archive"),
    lambda path: path.write_bytes(b""),
    array_alone,
    damaged_inside,
    names_that_clash,
  ],
)
def test_other_files_are_said_to_be_none(write, tmp_path):
  path = tmp_path / "w.npz"
  write(path)
  with pytest.raises(ValueError, match=r"w\.npz is no file of weights"):
    checkpoint.load(path)


def test_a_file_that_says_too_little_is_refused(tmp_path):
  npz.write(tmp_path / "w.npz", TREE, {"model": {"name": "x"}})
  with pytest.raises(
    ValueError, match=r"metadata of the checkpoint in .*w\.npz"
  ):
    checkpoint.load(tmp_path / "w.npz")
