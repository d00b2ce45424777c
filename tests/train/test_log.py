"""Logs of a run: lines, curves, and what a resumed run finds."""

import json
import types

from tensorboard.backend.event_processing import event_accumulator

from darkjax.train.log import Report


def lines(folder) -> list[dict]:
  text = (folder / "metrics.jsonl").read_text()
  return [json.loads(line) for line in text.splitlines()]


def test_numbers_reach_the_log_and_the_curves(tmp_path):
  with Report(tmp_path, start_step=0, total_steps=10) as report:
    report.write(3, {"loss": 0.5})
    report.write(6, {"loss": 0.25, "dark/AP/gt_boxes": 70.7})
  assert lines(tmp_path) == [
    {"step": 3, "loss": 0.5},
    {"step": 6, "loss": 0.25, "dark/AP/gt_boxes": 70.7},
  ]
  events = event_accumulator.EventAccumulator(str(tmp_path))
  events.Reload()
  tags = events.Tags()
  assert {"loss", "dark/AP/gt_boxes"} <= {*tags["scalars"], *tags["tensors"]}


def test_the_expected_time_is_told_once_from_steps_after_the_first(
  tmp_path, monkeypatch, caplog
):
  now = [0.0]
  clock = types.SimpleNamespace(monotonic=lambda: now[0])
  monkeypatch.setattr("darkjax.train.log.time", clock)
  caplog.set_level("INFO")
  with Report(tmp_path, start_step=5, total_steps=1816) as report:
    for step in range(6, 30):
      # The first step, which compiles, takes 100 s, each other one 2 s.
      now[0] += 100.0 if step == 6 else 2.0
      report.advance(step)
  messages = [r.message for r in caplog.records if "a step" in r.message]
  # 1816 − 16 steps of 2 s.
  assert messages == [
    "2 s a step: about 1:00:00 for the rest, evaluations aside"
  ]


def test_a_resumed_run_drops_the_lines_after_its_checkpoint(tmp_path):
  with Report(tmp_path, start_step=0, total_steps=10) as report:
    for step in (2, 4, 6):
      report.write(step, {"loss": 1.0 / step})
  with Report(tmp_path, start_step=4, total_steps=10) as report:
    report.write(6, {"loss": 0.125})
  assert lines(tmp_path) == [
    {"step": 2, "loss": 0.5},
    {"step": 4, "loss": 0.25},
    {"step": 6, "loss": 0.125},
  ]


def test_a_line_cut_short_by_a_kill_is_dropped(tmp_path):
  (tmp_path / "metrics.jsonl").write_text('{"step": 2, "loss": 0.5}\n{"ste')
  with Report(tmp_path, start_step=2, total_steps=10) as report:
    report.write(4, {"loss": 0.25})
  assert [line["step"] for line in lines(tmp_path)] == [2, 4]
