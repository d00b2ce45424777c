"""Ending a run when it is asked to: finish the step, save, exit with 0.

Schedulers send SIGTERM some seconds before they kill, and people press Ctrl-C.
Several processes have to stop after the same step; there JAX's own handler of
SIGTERM agrees on one, and this module only asks it.
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
  """The run was asked to end; where nobody catches it, the exit status is 0."""


class Stop:
  """SIGTERM and Ctrl-C as an exception that comes where it does no harm.

  Without `listening` it never comes. A second Ctrl-C does not wait.
  """

  def __init__(self):
    self._asked = False
    self._waits = False

  @contextlib.contextmanager
  def listening(self) -> Iterator["Stop"]:
    """Handles the signals within, and says what came of them.

    Several processes leave SIGTERM to JAX; other threads than the main one may
    not handle any.
    """
    ours = jax.process_count() == 1 and _in_main_thread()
    numbers = (signal.SIGTERM, signal.SIGINT) if ours else ()
    before = {number: signal.signal(number, self._ask) for number in numbers}
    try:
      yield self
    except Stopped:
      _LOG.warning(
        "stopped as asked; started again with the same --workdir, the run "
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
    """Within, a request waits for the next `at_once`."""
    self._waits = True
    try:
      yield
    finally:
      self._waits = False

  @contextlib.contextmanager
  def at_once(self, step: int) -> Iterator[None]:
    """Within, and on entering, a request raises `Stopped`; use it in `later`.

    Args:
      step: that is done; several processes agree on it, on entering only.
    """
    self._waits = False
    try:
      if self._asked or _all_agreed(step):
        raise Stopped
      yield
    finally:
      self._waits = True


def _in_main_thread() -> bool:
  return threading.current_thread() is threading.main_thread()


def _all_agreed(step: int) -> bool:
  """Whether JAX's handler got SIGTERM and chose this step, on all processes."""
  return jax.process_count() > 1 and (
    multihost_utils.reached_preemption_sync_point(step)
  )
