"""Deferred handling of SIGTERM and Ctrl-C: finish the step, save, exit with 0.

Schedulers send SIGTERM some seconds before they kill, and people press Ctrl-C.
Several processes have to stop after the same step; there JAX's own handler of
SIGTERM agrees on it.
"""

import contextlib
import logging
import signal
import threading
from collections.abc import Iterator

import jax
from jax.experimental import multihost_utils

_LOG = logging.getLogger(__name__)


class Stopped(SystemExit):
  """Request to end the run; the exit status is 0 unless it is caught."""


class Stop:
  """SIGTERM and Ctrl-C as an exception that is raised where it does no harm.

  Only within `listening`. A second Ctrl-C raises at once.
  """

  def __init__(self):
    self._asked = False
    self._waits = False

  @contextlib.contextmanager
  def listening(self) -> Iterator["Stop"]:
    """Handles the signals within.

    Of several processes JAX handles SIGTERM; threads other than the main one
    cannot handle signals.
    """
    in_main_thread = threading.current_thread() is threading.main_thread()
    ours = jax.process_count() == 1 and in_main_thread
    numbers = (signal.SIGTERM, signal.SIGINT) if ours else ()
    before = {number: signal.signal(number, self._ask) for number in numbers}
    try:
      yield self
    except Stopped:
      _LOG.warning(
        "stopped on request; started again with the same --workdir, the run "
        "continues"
      )
      raise
    finally:
      for number, handler in before.items():
        signal.signal(number, handler)

  def _ask(self, number, frame) -> None:
    del frame
    if self._asked:
      if number == signal.SIGINT:
        raise KeyboardInterrupt
      return
    self._asked = True
    if not self._waits:
      raise Stopped

  @contextlib.contextmanager
  def later(self) -> Iterator[None]:
    """Defers a request to the next `at_once`."""
    self._waits = True
    try:
      yield
    finally:
      self._waits = False

  @contextlib.contextmanager
  def at_once(self, step: int) -> Iterator[None]:
    """Raises `Stopped` for a request, on entering or within; use it in `later`.

    Args:
      step: number of the last step; several processes agree on it, and stop on
        entering only.
    """
    self._waits = False
    try:
      if self._asked or _all_agreed(step):
        raise Stopped
      yield
    finally:
      self._waits = True


def _all_agreed(step: int) -> bool:
  """Whether the processes stop at this step, by JAX's handler of SIGTERM."""
  return jax.process_count() > 1 and (
    multihost_utils.reached_preemption_sync_point(step)
  )
