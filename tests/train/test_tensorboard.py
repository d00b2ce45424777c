"""TensorBoard's own reader, over what a run wrote."""

import io

import numpy as np
from PIL import Image
from tensorboard.backend.event_processing import event_accumulator

from darkjax.train.tensorboard import Curves


def read(folder):
  events = event_accumulator.EventAccumulator(str(folder))
  events.Reload()
  return events


def write(folder, start_step, points):
  curves = Curves(folder, start_step=start_step)
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
  curves = Curves(tmp_path, start_step=0)
  curves.image("val/people", Image.fromarray(pixels), 7)
  curves.close()
  (event,) = read(tmp_path).Images("val/people")
  assert (event.step, event.height, event.width) == (7, 20, 30)
  found = np.asarray(Image.open(io.BytesIO(event.encoded_image_string)))
  # JPEG at quality 90 moves flat areas by a few grey levels.
  assert abs(found[:, :12].astype(int)).max() < 8
  assert abs(found[:, 18:].astype(int) - (255, 0, 0)).max() < 8
