"""Files of weights: what is written is read, and nothing else is."""

import colours
import commands
import jax
import numpy as np
import pytest
import safetensors.numpy

from darkjax import checkpoint, models
from darkjax.checkpoint import weight_file

MODEL = {"name": "hrnet_small", "num_keypoints": 17}
CONVENTION = colours.make_convention(crop_size=(64, 32), heatmap_size=(16, 8))
METADATA = checkpoint.Metadata(CONVENTION, MODEL, {"seed": 0})
TREE = {
  "params": {"stem": {"kernel": np.linspace(-2, 2, 12).reshape(3, 4)}},
  "batch_stats": {"norm": {"var": np.array([1e-9, 3.0])}},
}


@pytest.fixture(scope="module")
def variables():
  model = models.create_model(**MODEL)
  images = np.zeros((1, 64, 32, 3), np.float32)
  return jax.jit(model.init)(jax.random.key(0), images)


def write_tensors(path, metadata=METADATA):
  weight_file.write(path, TREE, metadata)


def test_what_is_written_is_read(tmp_path):
  write_tensors(tmp_path / "w.safetensors")
  read, metadata = checkpoint.load(tmp_path / "w.safetensors")
  assert metadata == METADATA
  assert jax.tree.structure(read) == jax.tree.structure(TREE)
  assert {leaf.dtype for leaf in jax.tree.leaves(read)} == {np.dtype("f4")}
  # Half precision has 11 bits; statistics have float32's 24, however small.
  kernels = (tree["params"]["stem"]["kernel"] for tree in (read, TREE))
  np.testing.assert_allclose(*kernels, rtol=2**-11)
  variances = (tree["batch_stats"]["norm"]["var"] for tree in (read, TREE))
  np.testing.assert_allclose(*variances, rtol=2**-24)


def test_arrays_in_any_memory_order_keep_their_values(tmp_path):
  kernel = np.arange(24.0).reshape(2, 3, 4).transpose(2, 0, 1)
  tree = {"params": {"kernel": kernel, "scale": np.array(2.0)}}
  weight_file.write(tmp_path / "w.safetensors", tree, METADATA)
  read, _ = weight_file.read(tmp_path / "w.safetensors")
  jax.tree.map(np.testing.assert_array_equal, read, tree)


def test_other_programs_read_the_file(tmp_path):
  write_tensors(tmp_path / "w.safetensors")
  arrays = safetensors.numpy.load_file(tmp_path / "w.safetensors")
  assert {name: (a.shape, a.dtype.name) for name, a in arrays.items()} == {
    "params/stem/kernel": ((3, 4), "float16"),
    "batch_stats/norm/var": ((2,), "float32"),
  }


def test_others_may_read_the_file(tmp_path):
  other = tmp_path / "other"
  other.touch()
  write_tensors(tmp_path / "new" / "w.safetensors")
  (path,) = (tmp_path / "new").iterdir()
  assert path.stat().st_mode == other.stat().st_mode


def test_a_run_becomes_a_file_that_goes_where_its_folder_goes(
  variables, tmp_path
):
  folder, path = tmp_path / "run", tmp_path / "new" / "weights.safetensors"
  checkpoint.save_variables(folder, variables, CONVENTION, MODEL)
  done = commands.run("release", f"--checkpoint={folder}", f"--out={path}")
  assert done.returncode == 0
  kept, metadata = checkpoint.load(path)
  with pytest.raises(ValueError, match="a release, without steps"):
    checkpoint.load(path, step=0)
  assert metadata == checkpoint.Metadata(CONVENTION, MODEL, {})
  exact = checkpoint.load(folder)[0]
  jax.tree.map(
    lambda a, b: np.testing.assert_allclose(a, b, rtol=2**-11, atol=2**-25),
    kept,
    exact,
  )


@pytest.mark.parametrize(
  ("path", "tree", "message"),
  [
    ("weights.npz", TREE, "ends with .safetensors"),
    (
      "w.safetensors",
      TREE | {"cache": {"a": np.ones(1)}},
      "holds \\['params', 'batch_stats'\\]",
    ),
    (
      "w.safetensors",
      {"params": {"a": np.array(1e6)}},
      "params/a is not finite in float16",
    ),
    (
      "w.safetensors",
      {"params": {"a": np.array(np.nan)}},
      "params/a is not finite",
    ),
    (
      "w.safetensors",
      {"batch_stats": {"a": np.array(np.inf)}},
      "batch_stats/a is not finite in float32",
    ),
  ],
)
def test_what_the_file_cannot_hold_is_refused(path, tree, message, tmp_path):
  with pytest.raises(ValueError, match=message):
    weight_file.write(tmp_path / path, tree, METADATA)
  assert not (tmp_path / path).exists()


def test_a_flipped_bit_is_never_read_as_other_weights(tmp_path, rng):
  path = tmp_path / "w.safetensors"
  write_tensors(path)
  intact, (variables, metadata) = path.read_bytes(), weight_file.read(path)
  refused = 0
  for position in range(len(intact)):
    content = bytearray(intact)
    content[position] ^= 1 << rng.integers(8)
    path.write_bytes(content)
    try:
      read = weight_file.read(path)
    except ValueError:
      refused += 1
      continue
    # A bit that nothing depends on: the blanks that end the header.
    jax.tree.map(np.testing.assert_array_equal, read[0], variables)
    assert read[1] == metadata
  assert refused > 0.9 * len(intact)


def array_file(path):
  with path.open("wb") as file:
    np.savez(file, a=np.ones(3))


def truncated(path):
  write_tensors(path)
  path.write_bytes(path.read_bytes()[:200])


@pytest.mark.parametrize(
  ("name", "write"),
  [
    ("w.safetensors", truncated),
    ("w.safetensors", lambda path: path.write_bytes(b"\x08" * 99)),
    ("w.safetensors", lambda path: path.write_text("not tensors")),
    ("w.safetensors", lambda path: path.write_bytes(b"")),
    ("w.safetensors", array_file),
    (
      "w.safetensors",
      lambda path: safetensors.numpy.save_file({"a": np.ones(3)}, path),
    ),
    ("w.npz", array_file),
    ("w.pth", lambda path: path.write_bytes(b"PK\x03\x04 something else")),
  ],
)
def test_other_files_are_refused(name, write, tmp_path):
  path = tmp_path / name
  write(path)
  with pytest.raises(
    ValueError, match=rf"{name} is not a file of weights .*models\.weights"
  ):
    checkpoint.load(path)


def test_a_file_with_incomplete_metadata_is_refused(tmp_path):
  class Incomplete(checkpoint.Metadata):
    def to_json(self):
      return {"model": {"name": "x"}}

  path = tmp_path / "w.safetensors"
  write_tensors(path, Incomplete(CONVENTION, MODEL, {}))
  with pytest.raises(
    ValueError, match=rf"metadata of the checkpoint in .*{path.name}"
  ):
    checkpoint.load(path)
