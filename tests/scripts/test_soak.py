"""What the soak says of memory, on made-up curves."""

import importlib.util
import json
import subprocess
import sys

import numpy as np
import pytest
from paths import SCRIPTS

SCRIPT = SCRIPTS / "soak.py"


@pytest.fixture(scope="module")
def soak():
  spec = importlib.util.spec_from_file_location("soak", SCRIPT)
  module = importlib.util.module_from_spec(spec)
  spec.loader.exec_module(module)
  return module


def test_only_the_second_half_counts(soak):
  # 900 MiB in the first half, then 30 MiB in an hour.
  samples = [soak.Sample(t, min(t, 3600) / 4, 0) for t in range(0, 3600, 60)]
  samples += [
    soak.Sample(3600 + t, 900 + 30 * t / 3600, 0) for t in range(0, 3601, 60)
  ]
  per_hour, start = soak.slope(samples)
  assert per_hour == pytest.approx(30)
  assert start == pytest.approx(870)
  picture = np.asarray(soak.draw(samples))
  assert picture.shape == (420, 900, 3)
  # The red line ends at the right: 930 of 1.1 · 930 MiB, over 300 px.
  (rows,) = np.nonzero((picture[:, 838] == (0xC0, 0x40, 0x20)).all(-1))
  assert rows.mean() == pytest.approx(360 - 300 / 1.1, abs=2)


def test_memory_of_children_counts(soak):
  code = "import time; block = b'x' * (64 << 20); time.sleep(60)"
  here = soak.psutil.Process()
  before = soak.resident_mib(here)
  with subprocess.Popen([sys.executable, "-c", code]) as child:
    try:
      for _ in range(600):
        if soak.resident_mib(soak.psutil.Process(child.pid)) > 64:
          break
        soak.time.sleep(0.05)
      assert soak.resident_mib(here) - before > 64
    finally:
      child.kill()


def test_the_smaller_set_has_its_images(soak, tmp_path):
  path = tmp_path / "labels.json"
  whole = {
    "images": [{"id": 7}, {"id": 8}, {"id": 9}],
    "annotations": [{"id": i, "image_id": 9 - i // 2} for i in range(5)],
    "categories": [{"id": 1}],
  }
  path.write_text(json.dumps(whole))
  assert soak.first_people(path, 3) == {
    "images": [{"id": 8}, {"id": 9}],
    "annotations": whole["annotations"][:3],
    "categories": [{"id": 1}],
  }


def test_the_last_whole_line_gives_the_step(soak, tmp_path):
  log = tmp_path / "metrics.jsonl"
  assert soak.last_step(log) == 0
  log.write_text('{"step": 1}\n{"step": 20}\n{"st')
  assert soak.last_step(log) == 20
