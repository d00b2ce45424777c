"""Runs that are killed and asked to stop, a few times; real processes."""

import commands
import kill_test
import numpy as np
from paths import ROOT


def test_nothing_is_lost(tmp_path, monkeypatch):
  # Of the runs, which are processes of their own.
  cache = str(ROOT / ".cache" / "jax")
  monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", cache)
  monkeypatch.setenv("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
  flags = ("--kills=2", "--stops=1", f"--workdir={tmp_path / 'runs'}")
  ran = commands.run("kill_test", *flags)
  assert ran.returncode == 0, ran.stdout + ran.stderr
  *moments, verdict = ran.stdout.splitlines()
  assert sorted(line.split(":")[0] for line in moments) == [
    "SIGKILL while_saving",
    "SIGKILL while_starting",
    "SIGTERM while_training",
  ]
  assert verdict.startswith("2 kills, 1 stops, 48 steps")
  assert verdict.endswith("all equal those of the run left alone")


def test_what_differs_is_said(tmp_path, monkeypatch):
  runs = [
    kill_test.Run(tmp_path / name, tmp_path, tmp_path, 1) for name in "ab"
  ]
  for run in runs:
    run.folder.mkdir()
  one, other = runs
  values = np.float32([1, 2])
  last = np.nextafter(values, 3)
  arrays = {one.folder: {"w": values}, other.folder: {"w": last, "b": values}}
  monkeypatch.setattr(kill_test.Run, "arrays", lambda run: arrays[run.folder])
  curves = {"loss": [(1, 0.5)]}
  monkeypatch.setattr(kill_test.Run, "curves", lambda run: curves)
  (one.folder / "metrics.jsonl").write_text('{"step": 1}\n')
  (other.folder / "checkpoints" / "6.orbax-checkpoint-tmp").mkdir(parents=True)
  assert list(kill_test.differences(one, other)) == [
    "checkpoint b: only in one of the runs",
    "checkpoint w: values differ",
    "metrics.jsonl: lines differ",
    "left over: {'6.orbax-checkpoint-tmp'}",
  ]
