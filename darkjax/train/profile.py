"""A profile of a few training steps: `--profile`."""

import logging
import os

import jax

_LOG = logging.getLogger(__name__)

# Steps of a run: after the first, which compiles, and those that estimate its
# length (log.py), which a profile would slow down.
_FROM, _TO = 12, 17


class Trace:
  """Profiles a few steps; TensorBoard's profile plugin and Perfetto read it.

  Use it in a `with`, so that the profile of a run that ends early is written.
  """

  def __init__(self, folder: str | os.PathLike | None, *, start_step: int):
    """Chooses the steps.

    Args:
      folder: of the run; None for no profile.
      start_step: steps done before.
    """
    self._folder, self._start = folder, start_step
    self._running = False

  def __enter__(self):
    return self

  def __exit__(self, *exception):
    if self._running:
      jax.profiler.stop_trace()
      self._running = False
      _LOG.info("profile of a few steps in %s/plugins/profile", self._folder)

  def after(self, step: int, values) -> None:
    """Starts or ends the profile after `step`, whose results are `values`."""
    if self._folder is None or step - self._start not in (_FROM, _TO):
      return
    jax.block_until_ready(values)  # so that whole steps are profiled
    if self._running:
      self.__exit__()
    else:
      folder = os.fspath(self._folder)
      jax.profiler.start_trace(folder, create_perfetto_trace=True)
      self._running = True
