"""One, two, four and eight devices train alike; so do mappings, micro-batches.

Sixteen people a step, most labels among the second half of them, so that a mean
of each device's mean over labels would show.
"""

import os
import pathlib
import subprocess
import sys

import jax
import numpy as np
import pytest
from paths import ROOT

from darkjax.runtime import devices

COUNTS = (1, 2, 4, 8)
# Float64 sums in another order. Adam divides a gradient by its own size and,
# where it is zero but for rounding (the stem's bias, which batch norm takes off
# again), by an ε of 1e-8: 1e-17 becomes 1e-11 at a rate of 1e-2. Seen: 2.3e-11
# there, 4e-16 elsewhere.
ROUNDING = {"rtol": 1e-12, "atol": 1e-10}


@pytest.fixture(scope="module")
def results(tmp_path_factory) -> dict[int, dict[str, np.ndarray]]:
  """By number of devices, every case's parameters, statistics and losses."""
  folder = tmp_path_factory.mktemp("devices")
  running = {count: start(count, folder / f"{count}.npz") for count in COUNTS}
  for count, worker in running.items():
    _, errors = worker.communicate(timeout=900)
    assert worker.returncode == 0, f"{count} devices: {errors}"
  return {count: dict(np.load(folder / f"{count}.npz")) for count in COUNTS}


def start(count: int, path: pathlib.Path) -> subprocess.Popen:
  environment = {
    "JAX_NUM_CPU_DEVICES": str(count),
    "JAX_COMPILATION_CACHE_DIR": str(ROOT / ".cache" / "jax"),
    "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests'}",
  }
  return subprocess.Popen(
    [sys.executable, str(ROOT / "tests" / "devices_worker.py"), str(path)],
    env=os.environ | environment,
    stderr=subprocess.PIPE,
    text=True,
  )


def case(result, name: str) -> dict[str, np.ndarray]:
  """Leaves of a case by path: parameters [0], statistics [1], losses [2]."""
  return {k[len(name) :]: v for k, v in result.items() if k.startswith(name)}


def assert_equal(one, other) -> None:
  assert one.keys() == other.keys()
  for path, value in one.items():
    assert value.dtype == np.float64
    np.testing.assert_allclose(other[path], value, err_msg=path, **ROUNDING)


def largest_difference(one, other, part: str) -> float:
  return max(abs(one[p] - other[p]).max() for p in one if p.startswith(part))


@pytest.mark.parametrize("count", COUNTS[1:])
@pytest.mark.parametrize("name", ["plain", "synchronised"])
def test_devices_equal_one_device(results, name, count):
  assert_equal(case(results[1], name), case(results[count], name))


@pytest.mark.parametrize("count", COUNTS)
def test_micro_batches_equal_the_large_batch(results, count):
  assert_equal(case(results[1], "plain"), case(results[count], "accumulated"))


@pytest.mark.parametrize("count", COUNTS[:-1])
def test_micro_batches_equal_devices_of_their_size(results, count):
  """Batch norm over two people each: 8 in turn, 2 x 4, 4 x 2, or 8 devices."""
  assert_equal(case(results[8], "own"), case(results[count], "pairs"))


def test_one_device_synchronises_with_nobody(results):
  assert_equal(case(results[1], "own"), case(results[1], "synchronised"))


@pytest.mark.parametrize("count", COUNTS[1:])
def test_batch_norm_per_device_is_another_function(results, count):
  """How far it is off: each device normalises by its own people alone.

  A person gives 96 pixels of noise to a mean, two people 192: that mean strays
  from the one of all by 1/√192 = 7 % of a standard deviation, and the variance
  by √2 of that, which bounds what the loss may do to the order of 10 %. Adam
  moves a parameter by its rate of 0.01 a step at most.
  """
  own, all_people = case(results[count], "own"), case(results[1], "own")
  assert 1e-6 < largest_difference(own, all_people, "[0]") < 2 * 3 * 0.01
  np.testing.assert_allclose(own["[2]"], all_people["[2]"], rtol=0.1)


@pytest.mark.parametrize("count", COUNTS)
def test_both_mappings_give_the_same_bits(results, count):
  """Training with synchronised batch norm, and a function of rows."""
  for one, other in (
    ("synchronised", "shard_map"),
    ("rows pmap", "rows shard_map"),
  ):
    expected, values = case(results[count], one), case(results[count], other)
    assert expected.keys() == values.keys()
    for path, value in expected.items():
      np.testing.assert_array_equal(values[path], value, err_msg=path)


@pytest.mark.parametrize("mapping", devices.MAPPINGS)
def test_rows_are_padded_and_cut_again(mapping):
  seen = []

  def double(shared, rows):
    seen.append(rows.shape)
    return rows * shared

  mapped = devices.map_rows(double, mapping=mapping, fewest=3)
  rows = np.arange(5, dtype=np.float32)
  two = devices.replicate(np.float32(2))
  np.testing.assert_array_equal(mapped(two, rows), 2 * rows)
  assert seen == [(3,)]  # five rows on two devices, at least three each


@pytest.mark.parametrize("mapping", devices.MAPPINGS)
def test_as_many_leaves_as_arguments(mapping):
  """`jax.pmap` alone mixes up the axes here: the first argument has no leaf."""
  mapped = devices.map_rows(
    lambda shared, rows: rows[0] - rows[1], mapping=mapping
  )
  rows = np.arange(4.0), np.ones(4)
  np.testing.assert_array_equal(mapped({}, rows), [-1, 0, 1, 2])


def test_an_unknown_mapping_is_refused():
  with pytest.raises(ValueError, match="'vmap'; known: pmap, shard_map"):
    devices.map_rows(lambda shared, rows: rows, mapping="vmap")


def test_copies_are_read_from_the_first_device():
  arrays = [jax.device_put(np.arange(3), d) for d in jax.local_devices()]
  joined = devices.from_copies(arrays)
  assert joined.sharding.is_fully_replicated
  tree = devices.replicate({"x": np.arange(3)}) | {"y": joined}
  for copy in devices.first_copy(tree).values():
    assert copy.devices() == {jax.local_devices()[0]}
    np.testing.assert_array_equal(copy, np.arange(3))


def test_pmap_is_named_in_one_file():
  files = [*(ROOT / "darkjax").rglob("*.py"), *(ROOT / "scripts").rglob("*.py")]
  naming = [path.name for path in files if "jax.pmap(" in path.read_text()]
  assert naming == ["devices.py"]
