"""Signals: where they wait, where they do not, what they leave."""

import os
import signal

import pytest

from darkjax.runtime import preemption


def ask(number=signal.SIGTERM):
  os.kill(os.getpid(), number)


def stopped(run, raised=preemption.Stopped):
  """What `run` raises while it listens for signals."""
  stop = preemption.Stop()
  with pytest.raises(raised) as caught, stop.listening():
    run(stop)
  return caught.value


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_request_comes_at_once_unless_it_shall_wait(number):
  def run(stop):
    ask(number)
    pytest.fail("not stopped")

  # Uncaught, Python exits with the code, None being 0.
  assert stopped(run).code is None


def test_a_request_waits_for_the_end_of_a_step():
  steps = []

  def run(stop):
    with stop.later():
      for step in range(9):
        if step == 3:
          ask()
        steps.append(step)
        with stop.at_once(step):
          pass

  stopped(run)
  assert steps == [0, 1, 2, 3]


def test_an_evaluation_is_cut_off():
  def run(stop):
    with stop.later(), stop.at_once(1):
      ask()
      pytest.fail("not stopped")

  stopped(run)


def test_only_a_second_interrupt_does_not_wait():
  def run(stop):
    with stop.later():
      ask()
      ask()
      ask(signal.SIGINT)
      pytest.fail("not stopped")

  stopped(run, KeyboardInterrupt)


def test_after_a_request_saving_is_not_cut_off():
  saved = []

  def run(stop):
    try:
      ask()
    except preemption.Stopped:
      ask()  # schedulers repeat themselves
      saved.append(True)
      raise

  stopped(run)
  assert saved


def test_handlers_are_put_back():
  before = signal.getsignal(signal.SIGTERM)
  with preemption.Stop().listening():
    assert signal.getsignal(signal.SIGTERM) is not before
  assert signal.getsignal(signal.SIGTERM) is before
