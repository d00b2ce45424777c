"""Set-up of a command before JAX starts; importing the library does nothing."""

import logging
import os

import absl.logging
import jax

from darkjax.runtime.files import cache_directory


def start() -> None:
  """Sets up logging, a quiet TensorFlow and a persistent compilation cache.

  A cache folder that the user named (`JAX_COMPILATION_CACHE_DIR`) is kept.
  """
  logging.basicConfig(
    level=logging.INFO, format="%(message)s", handlers=[_StdErr()], force=True
  )
  # TFDS and orbax warn of what is normal here.
  absl.logging.set_verbosity(absl.logging.ERROR)
  for noisy in ("jax", "orbax", "tensorflow", "PIL", "httpx", "numexpr"):
    logging.getLogger(noisy).setLevel(logging.WARNING)
  # oneDNN would only log that it is there.
  os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
  os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
  # Else TensorFlow imports Keras, which imports Matplotlib and pandas.
  os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
  # The crops of a batch are made in parallel, so each takes one thread.
  os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")
  if not jax.config.jax_compilation_cache_dir:  # type: ignore[attr-defined]
    jax.config.update(
      "jax_compilation_cache_dir", str(cache_directory() / "compiled")
    )
  # Initial weights come from a hundred small programs.
  jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)


class _StdErr(logging.StreamHandler):
  """Writes log lines above a progress bar rather than through it."""

  def emit(self, record):
    from tqdm import tqdm  # only the commands show progress

    tqdm.write(self.format(record), file=self.stream)
