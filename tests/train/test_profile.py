"""Profiles: which steps, and that a short run leaves one too."""

import pytest

from darkjax.train import tensorboard


@pytest.fixture
def calls(monkeypatch):
  made = []
  monkeypatch.setattr(
    "jax.profiler.start_trace", lambda folder, **_: made.append("start")
  )
  monkeypatch.setattr("jax.profiler.stop_trace", lambda: made.append("stop"))
  return made


def run(folder, steps):
  with tensorboard.Trace(folder, start_step=10) as traced:
    for step in steps:
      traced.after(step, None)


def test_a_few_steps_after_the_first_are_traced(tmp_path, calls):
  run(tmp_path, range(11, 25))
  assert calls == ["start", "stop"]
  # Ended at step 27, not by the end of the run.
  calls.clear()
  with tensorboard.Trace(tmp_path, start_step=10) as traced:
    for step in range(11, 40):
      traced.after(step, None)
    assert calls == ["start", "stop"]
  assert calls == ["start", "stop"]


def test_runs_too_short_or_not_profiled_write_nothing(tmp_path, calls):
  run(tmp_path, range(11, 22))
  run(None, range(11, 40))
  assert calls == []
