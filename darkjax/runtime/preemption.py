"""Deferred handling of SIGTERM and Ctrl-C: finish the step, save, exit with 0.

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
  """SIGTERM and Ctrl-C as an exception, deferred; a second Ctrl-C is not."""

  def __init__(self):
    self._asked = False
    self._waits = False

  @contextlib.contextmanager
  def listening(self) -> Iterator["Stop"]:
    """Handles the signals, in one process and its main thread."""
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

    Several processes agree on the last step, and stop on entering only.
    """
    self._waits = False
    try:
      if self._asked or (
        jax.process_count() > 1
        and multihost_utils.reached_preemption_sync_point(step)
      ):
        raise Stopped
      yield
    finally:
      self._waits = True
