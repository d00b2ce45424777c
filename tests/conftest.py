"""Test hygiene: strict dtypes, two CPU devices, cached compilation."""

import gc
import os
import pathlib
import resource
import warnings

ROOT = pathlib.Path(__file__).resolve().parent.parent

# Before JAX starts its backend: two CPU devices, so that pmap is real.
os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault("JAX_NUM_CPU_DEVICES", "2")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")  # imports no Keras
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
# Compiles in three quarters of the time; the suite runs little else.
os.environ.setdefault("XLA_FLAGS", "--xla_backend_optimization_level=0")

import jax
import numpy as np
import pytest

jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_numpy_rank_promotion", "raise")
jax.config.update("jax_compilation_cache_dir", str(ROOT / ".cache" / "jax"))
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)


# Files whose few tests take minutes: begun first, so that the processes of a
# parallel run end together.
_LONGEST_FIRST = (
  "test_distributed.py",
  "test_kill_test.py",
  "test_notebooks.py",
  "test_custom_keypoints.py",
  "test_pages.py",
  "test_config_runs.py",
  "test_properties.py",
)
_MOST_MEMORY = 2 * 2**20  # KiB of a process


def pytest_collection_modifyitems(items) -> None:
  """Puts the files of `_LONGEST_FIRST` first, all else as it was."""

  def position(item) -> int:
    name = item.path.name
    return (*_LONGEST_FIRST, name).index(name)

  items.sort(key=position)


def pytest_collection_finish() -> None:
  """Makes garbage collection rare; JAX's tracing sets it off all the time."""
  gc.set_threshold(20_000, 10, 10)


@pytest.fixture(autouse=True, scope="module")
def _forgotten_programs():
  """Drops compiled programs once the process is large; the disk keeps them."""
  yield
  if resource.getrusage(resource.RUSAGE_SELF).ru_maxrss > _MOST_MEMORY:
    jax.clear_caches()
    gc.collect()


@pytest.fixture
def rng() -> np.random.Generator:
  """A fresh generator with a fixed seed for every test."""
  return np.random.default_rng(20200613)


@pytest.fixture(scope="session")
def test_data() -> pathlib.Path:
  """The folder of real photographs and labels; skips where it is absent."""
  default = ROOT.parent / "shared" / "data"
  path = pathlib.Path(os.environ.get("DARKJAX_TEST_DATA", default))
  if not path.is_dir():
    pytest.skip(f"no test data: DARKJAX_TEST_DATA is unset, {path} is absent")
  return path


@pytest.fixture
def optax_promotion():
  """Standard dtype promotion: optax's Adam raises floats to integer powers."""
  with jax.numpy_dtype_promotion("standard"):
    yield


@pytest.fixture
def forgotten_reads():
  """Lets go of what Orbax leaves where a read fails.

  Its other reads are then coroutines that nobody awaits; each says so when it
  is collected, by chance in the middle of another test.
  """
  yield
  with warnings.catch_warnings():
    warnings.simplefilter("ignore", RuntimeWarning)
    gc.collect()
