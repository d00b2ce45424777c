"""The GPU benchmark's bookkeeping; what it times needs no test to be timed."""

import json

import bench_gpu
import numpy as np
import pytest

H100 = bench_gpu.Origin("NVIDIA H100 80GB HBM3", "abc1234")
CELLS = bench_gpu.make_cells(
  ["hrnet_w32", "hrnet_w48"],
  {"training": ["64"], "inference": ["128", "1"]},
  "256x192",
  "bfloat16",
)
INFERENCE = CELLS[1]


def line_of(cell, origin):
  return cell._asdict() | {"side": "torch"} | origin._asdict()


def test_cells_come_by_model_then_task():
  assert [(c.model, c.task, c.batch) for c in CELLS[:4]] == [
    ("hrnet_w32", "training", 64),
    ("hrnet_w32", "inference", 128),
    ("hrnet_w32", "inference", 1),
    ("hrnet_w48", "training", 64),
  ]


def test_goes_on_where_the_file_ends(tmp_path):
  file = tmp_path / "out.jsonl"
  assert bench_gpu.read(str(file)) == bench_gpu.read(None) == []
  lines = [line_of(cell, H100) for cell in CELLS[:2]]
  file.write_text("".join(json.dumps(line) + "\n" for line in lines))
  left = bench_gpu.unfinished(CELLS, bench_gpu.read(str(file)), H100)
  assert left == CELLS[2:]


@pytest.mark.parametrize(
  "other", [H100._replace(device="cpu"), H100._replace(commit="def5678")]
)
def test_lines_from_elsewhere_finish_nothing(other):
  lines = [line_of(cell, other) for cell in CELLS]
  assert bench_gpu.unfinished(CELLS, lines, H100) == CELLS


def test_begins_no_cell_that_would_end_late(monkeypatch):
  now, begun = [0.0], []
  monkeypatch.setattr(bench_gpu.time, "monotonic", lambda: now[0])

  def measure(cell):
    begun.append(cell)
    now[0] += 200.0

  # Two end at 400 s; the third would end at 600 s.
  left = bench_gpu.within(CELLS, 540.0, measure=measure)
  assert begun == CELLS[:2]
  assert left == CELLS[2:]
  assert bench_gpu.within(CELLS[:1], 540.0, measure=measure) == []


def test_figures_of_the_sides():
  seconds = {
    "darkjax": np.array([0.1, 0.1, 0.2]),
    "darkjax-argmax": np.array([0.098, 0.098, 0.196]),
    "torch": np.array([0.13, 0.13, 0.26]),
  }
  ours, argmax, torch = bench_gpu.summarize(
    INFERENCE, seconds, macs=7 * 10**9, device=H100.device
  )
  assert ours == {
    "side": "darkjax",
    "images_per_second": 1280.0,  # 128 in 0.1 s
    "of_torch": 1.3,
    # 1280 images of 14e9 operations a second, by 989e12.
    "share_of_peak": 0.0181,
    "decode_share": 0.02,
  }
  assert argmax["decode_share"] is torch["decode_share"] is None
  assert torch["of_torch"] == 1.0


def test_training_counts_three_passes():
  seconds = {"torch": np.array([0.064])}  # 1000 images a second
  (line,) = bench_gpu.summarize(
    CELLS[0], seconds, macs=7 * 10**9, device="NVIDIA H200"
  )
  # 1000 · 3 · 14e9 by 989e12.
  assert line["share_of_peak"] == 0.0425


@pytest.mark.parametrize(
  ("device", "dtype"), [("cpu", "bfloat16"), (H100.device, "float32")]
)
def test_no_peak_no_share(device, dtype):
  (line,) = bench_gpu.summarize(
    INFERENCE._replace(dtype=dtype), {"torch": np.ones(3)}, 1, device
  )
  assert line["share_of_peak"] is None
