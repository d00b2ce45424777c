"""The command on two workers, one of which is killed."""

import contextlib
import os
import pathlib
import signal
import subprocess
import sys
import time

import commands
import numpy as np
import PIL.Image
import psutil
import pyarrow.parquet as pq
import pytest
import tiny_weights
from paths import ROOT

from darkjax.predict.many import __main__ as many

pytest.importorskip("ray", reason="needs darkjax[ray]")
# Ray's own, and its start beside JAX's threads, which is by exec.
pytestmark = [
  pytest.mark.filterwarnings("ignore::DeprecationWarning:ray"),
  pytest.mark.filterwarnings("ignore:os.fork:RuntimeWarning"),
]

COUNT = 40


@pytest.fixture(scope="module")
def photos(
  tmp_path_factory,
):
  folder = tmp_path_factory.mktemp("photos")
  rng = np.random.default_rng(4)
  for n in range(COUNT):
    pixels = rng.integers(0, 256, (60, 50, 3), np.uint8)
    PIL.Image.fromarray(pixels).save(folder / f"{n:02d}.png")
  (folder / "bad.jpg").write_text("no picture")
  return folder


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
  folder = tmp_path_factory.mktemp("weights")
  tiny_weights.save(folder)
  return folder


def arguments(photos, checkpoint, out) -> list[str]:
  return [
    f"--input={photos}",
    f"--out={out}",
    f"--checkpoint={checkpoint}",
    *("--workers=2", "--shard_size=2", "--batch_size=2", "--noflip_test"),
  ]


def rows(out: pathlib.Path) -> list[dict]:
  parts = sorted(out.glob("*.parquet"))
  return [row for part in parts for row in pq.read_table(part).to_pylist()]


def workers_of(process: psutil.Process) -> list[psutil.Process]:
  found = []
  for child in process.children(recursive=True):
    with contextlib.suppress(psutil.Error):  # has ended meanwhile
      if "ray::MapWorker" in "".join(child.cmdline()[:1]):
        found.append(child)
  return found


def test_every_photograph_once_though_a_worker_is_killed(
  photos, checkpoint, tmp_path
):
  out = tmp_path / "out"
  environment = {
    "JAX_COMPILATION_CACHE_DIR": str(ROOT / ".cache" / "jax"),
    # On a busy machine workers of less priority than the tests starve.
    "RAY_worker_niceness": "0",
  }
  command = [sys.executable, "-m", "darkjax", "predict-many"]
  with subprocess.Popen(
    [*command, *arguments(photos, checkpoint, out)],
    env=os.environ | environment,
    cwd=ROOT,
    stderr=subprocess.PIPE,
    text=True,
  ) as process:
    workers, done_before = [], 0
    while process.poll() is None and not (len(workers) == 2 and done_before):
      time.sleep(0.05)
      workers = workers_of(psutil.Process(process.pid))
      done_before = len(list(out.glob("*.parquet")))
    if process.poll() is None:
      workers[0].send_signal(signal.SIGKILL)
    _, log = process.communicate()
  assert process.returncode == 1, log
  assert len(workers) == 2, log
  assert 0 < done_before < 21
  assert f"{COUNT + 1} photographs, {COUNT} people, 1 errors" in log
  found = rows(out)
  expected = [*(f"{n:02d}.png" for n in range(COUNT)), "bad.jpg"]
  assert sorted(pathlib.Path(row["path"]).name for row in found) == expected
  errors = [row for row in found if row["error"]]
  assert [pathlib.Path(row["path"]).name for row in errors] == ["bad.jpg"]
  # Started again, it does what is missing and leaves the rest.
  (out / "part-000003.parquet").unlink()
  before = {part.name: part.stat().st_mtime_ns for part in out.iterdir()}
  flags = [*arguments(photos, checkpoint, out), "--workers=1"]
  again = commands.run("predict-many", *flags)
  assert again.returncode == 1, again.stderr  # of bad.jpg, before
  after = {part.name: part.stat().st_mtime_ns for part in out.iterdir()}
  assert after.pop("part-000003.parquet")
  assert after == before
  np.testing.assert_equal(rows(out), found)  # nan equals nan


def test_mistakes_end_in_one_line(photos, checkpoint, tmp_path):
  def run(*changed):
    given = arguments(photos, checkpoint, tmp_path / "out")
    done = commands.run("predict-many", *given, *changed)
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    return done.stderr

  assert "no photograph" in run(f"--input={tmp_path / 'none.jpg'}")
  assert "given by --input" in run("photo.jpg")
  assert "add --detector" in run("--min_box_score=0.5")


@pytest.fixture
def in_this_process(monkeypatch):
  """Ray's part done by one worker, in another working folder."""

  def run(ray, flags, rows, arguments):
    from darkjax.predict.many import worker

    os.chdir("/")
    yield from map(worker.Worker(*arguments), rows)

  monkeypatch.setattr(many, "_start_ray", lambda ray, flags: None)
  monkeypatch.setattr(many, "_run", run)


def test_machines_of_a_cluster_get_whole_paths(
  photos, checkpoint, tmp_path, monkeypatch, in_this_process
):
  for name, folder in (("weights", checkpoint), ("photos", photos)):
    (tmp_path / name).symlink_to(folder)
  given = arguments("photos/*.*g", "weights", "out")
  monkeypatch.chdir(tmp_path)
  first = commands.run("predict-many", *given, "--address=auto")
  assert first.returncode == 1, first.stderr
  found = rows(tmp_path / "out")
  assert sum(row["error"] is None for row in found) == COUNT
  # A run without missing parts has the errors of before.
  monkeypatch.chdir(tmp_path)
  again = commands.run("predict-many", *given, "--address=auto")
  assert again.returncode == 1
  np.testing.assert_equal(rows(tmp_path / "out"), found)
