"""Curves, profiles and pictures; TensorBoard's own reader, where it has one."""

import io

import numpy as np
import pytest
from PIL import Image
from tensorboard.backend.event_processing import event_accumulator

from configs import quickstart
from darkjax import convention as convention_lib
from darkjax import skeletons
from darkjax.train import tensorboard

SIZE = (64, 48)


def read(folder):
  events = event_accumulator.EventAccumulator(str(folder))
  events.Reload()
  return events


def write(folder, start_step, points):
  curves = tensorboard.Curves(folder, start_step=start_step)
  for step, value in points.items():
    curves.scalar("loss", value, step)
  curves.close()


def test_curves_are_read_back(tmp_path):
  write(tmp_path, 0, {1: 0.5, 2: 0.25})
  points = read(tmp_path).Scalars("loss")
  assert [(p.step, p.value) for p in points] == [(1, 0.5), (2, 0.25)]


def test_a_resumed_run_replaces_the_points_after_its_checkpoint(
  tmp_path, monkeypatch
):
  write(tmp_path, 0, {1: 0.5, 2: 0.25, 3: 99.0})
  # File names carry the second they were opened in; the reader sorts by it.
  monkeypatch.setattr("time.time", lambda: 4e9)
  write(tmp_path, 2, {3: 0.125})
  points = read(tmp_path).Scalars("loss")
  assert [(p.step, p.value) for p in points] == [
    (1, 0.5),
    (2, 0.25),
    (3, 0.125),
  ]


def test_pictures_are_read_back(tmp_path):
  pixels = np.zeros((20, 30, 3), np.uint8)
  pixels[:, 15:] = (255, 0, 0)
  curves = tensorboard.Curves(tmp_path, start_step=0)
  curves.image("val/people", Image.fromarray(pixels), 7)
  curves.close()
  (event,) = read(tmp_path).Images("val/people")
  assert (event.step, event.height, event.width) == (7, 20, 30)
  found = np.asarray(Image.open(io.BytesIO(event.encoded_image_string)))
  # JPEG at quality 90 moves flat areas by a few grey levels.
  assert abs(found[:, :12].astype(int)).max() < 8
  assert abs(found[:, 18:].astype(int) - (255, 0, 0)).max() < 8


@pytest.fixture
def calls(monkeypatch):
  made = []
  monkeypatch.setattr(
    "jax.profiler.start_trace", lambda folder, **_: made.append("start")
  )
  monkeypatch.setattr("jax.profiler.stop_trace", lambda: made.append("stop"))
  return made


def profile(folder, steps):
  with tensorboard.Trace(folder, start_step=10) as traced:
    for step in steps:
      traced.after(step, None)


def test_a_few_steps_after_the_first_are_traced(tmp_path, calls):
  profile(tmp_path, range(11, 25))
  assert calls == ["start", "stop"]
  # Ended at step 27, not by the end of the run.
  calls.clear()
  with tensorboard.Trace(tmp_path, start_step=10) as traced:
    for step in range(11, 40):
      traced.after(step, None)
    assert calls == ["start", "stop"]
  assert calls == ["start", "stop"]


def test_runs_too_short_say_that_nothing_is_written(tmp_path, calls, caplog):
  profile(None, range(11, 22))
  profile(tmp_path, range(11, 23))
  assert not caplog.text
  calls.clear()
  profile(tmp_path, range(11, 22))
  assert "no profile: it begins after 12 steps" in caplog.text
  profile(None, range(11, 40))
  assert calls == []


def test_targets_lie_over_the_crops_pixel():
  fields = quickstart.get_config().convention
  fields.crop_size = SIZE
  convention = convention_lib.from_config(fields, skeleton=skeletons.COCO)
  keypoints = np.full((2, 17, 2), 5.0, np.float32)
  # Row 0 has one keypoint at crop (22, 30), row 1 none with a label.
  crop_point = np.array([22.0, 30.0, 1.0])
  keypoints[0, 3] = convention.heatmap_from_crop() @ crop_point
  visibility = np.zeros((2, 17), np.float32)
  visibility[0, 3] = 1
  batch = {
    "image": np.full((2, *SIZE, 3), 90, np.uint8),
    "keypoints_heatmap": keypoints,
    "visibility": visibility,
    "image_from_heatmap": np.zeros((2, 2, 3), np.float32),
    "mask": np.ones(2, np.float32),
  }
  crops = [
    np.asarray(picture).astype(int)
    for picture in tensorboard.draw_targets(batch, convention, count=2)
  ]
  assert (crops[1] == 90).all()
  red = crops[0][..., 0] - crops[0][..., 1]
  ys, xs = np.mgrid[:64, :48]
  centre = [(red * axis).sum() / red.sum() for axis in (xs, ys)]
  # Bilinear interpolation of a Gaussian of 1 or 2 cells keeps its mean; 8-bit
  # rounding moves it by hundredths.
  np.testing.assert_allclose(centre, [22, 30], atol=0.1)
