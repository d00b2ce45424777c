"""What the soak says of memory, on made-up curves."""

import json
import subprocess
import sys

import numpy as np
import pytest
import soak


def test_only_the_second_half_counts():
  # 900 MiB in the first half, then 30 MiB in an hour.
  samples = [soak.Sample(t, min(t, 3600) / 4, 0) for t in range(0, 3600, 60)]
  samples += [
    soak.Sample(3600 + t, 900 + 30 * t / 3600, 0) for t in range(0, 3601, 60)
  ]
  per_hour, start = soak.slope(samples)
  assert per_hour == pytest.approx(30)
  assert start == pytest.approx(870)
  (axis,) = soak.draw(samples).axes
  curve, line = axis.lines
  assert curve.get_ydata()[-1] == pytest.approx(930)
  np.testing.assert_allclose(line.get_xydata(), [[60, 900], [120, 930]])
  assert line.get_label() == "+30.0 MiB/h"


def test_memory_of_children_counts():
  code = "import time; block = b'x' * (256 << 20); time.sleep(60)"
  here = soak.psutil.Process()
  before = soak.resident_mib(here)
  with subprocess.Popen([sys.executable, "-c", code]) as child:
    try:
      for _ in range(600):
        if soak.resident_mib(soak.psutil.Process(child.pid)) > 256:
          break
        soak.time.sleep(0.05)
      # Less what the other processes and the kernel give back meanwhile.
      assert soak.resident_mib(here) - before > 128
    finally:
      child.kill()


def test_the_smaller_set_has_its_images(tmp_path):
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


def test_the_last_whole_line_gives_the_step(tmp_path):
  log = tmp_path / "metrics.jsonl"
  assert soak.last_step(log) == 0
  log.write_text('{"step": 1}\n{"step": 20}\n{"st')
  assert soak.last_step(log) == 20
