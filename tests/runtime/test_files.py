"""Full disks: a small one is mounted for one process alone."""

import errno
import shutil
import subprocess
import sys

import pytest
from paths import ROOT

from darkjax.runtime import files

# Runs with a disk of 1 MiB at sys.argv[1].
WORKER = """
import pathlib, sys
sys.path.insert(0, "tests/checkpoint")
import test_checkpoint as t
from darkjax.runtime import files

folder = pathlib.Path(sys.argv[1])
with files.explain_full_disk(folder):
  t.write(folder / "steps", [1])
filler = folder / "filler"
try:
  with files.explain_full_disk(folder / "other"), filler.open("wb") as file:
    while True:
      file.write(bytes(1024))
except OSError as error:
  print(error)
try:
  with files.explain_full_disk(folder / "steps"):
    t.write(folder / "steps", [2])
except OSError as error:
  print(error)
assert t.restore(folder / "steps").step == 1
filler.unlink()
t.write(folder / "steps", [2])
assert t.restore(folder / "steps").step == 2
print("continued")
"""


def small_disk(folder, *command):
  """Runs a command that alone sees a disk of 1 MiB at `folder`."""
  mount = f'mount -t tmpfs -o size=1m tmpfs "{folder}" && exec "$@"'
  return subprocess.run(
    ["unshare", "-rm", "sh", "-c", mount, "sh", *map(str, command)],
    cwd=ROOT,
    capture_output=True,
    text=True,
    timeout=900,
  )


def test_a_full_disk_is_named_and_the_checkpoint_before_is_whole(
  tmp_path, monkeypatch
):
  if not shutil.which("unshare") or small_disk(tmp_path, "true").returncode:
    pytest.skip("no small disk can be mounted here (unshare -rm)")
  monkeypatch.setenv("PYTHONPATH", f"{ROOT}:{ROOT / 'tests'}")
  ran = small_disk(tmp_path, sys.executable, "-c", WORKER, tmp_path)
  assert ran.returncode == 0, ran.stderr
  plain, saving, end = ran.stdout.splitlines()
  said = f"the disk {tmp_path} is full (0 MiB free) while writing {tmp_path}"
  assert f"{said}/other" in plain
  assert f"{said}/steps" in saving
  assert end == "continued"


def test_causes_are_searched_and_other_errors_are_left_alone(tmp_path):
  def fail():
    try:
      raise OSError(errno.ENOSPC, "No space left on device")
    except OSError as error:
      raise RuntimeError("could not write") from error

  with pytest.raises(OSError, match="is full") as caught:
    with files.explain_full_disk(tmp_path / "not" / "there"):
      fail()
  assert caught.value.errno == errno.ENOSPC
  with (
    pytest.raises(FileNotFoundError, match="nothing"),
    files.explain_full_disk(tmp_path),
  ):
    raise FileNotFoundError("nothing there")


def test_what_cannot_be_written_is_found_out_at_once(tmp_path):
  path = tmp_path / "new" / "results.json"
  files.check_writable(path)
  assert list(path.parent.iterdir()) == []
  with pytest.raises(IsADirectoryError, match="a folder, not a file"):
    files.check_writable(path.parent)
  file = tmp_path / "file"
  file.write_text("kept")
  files.check_writable(file)
  assert file.read_text() == "kept"
  with pytest.raises(OSError, match="file"):
    files.check_writable(file / "results.json")
