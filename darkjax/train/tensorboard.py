"""What TensorBoard shows of a run, without TensorFlow."""

import io
import logging
import os
import time

import jax
import numpy as np
from PIL import Image
from tensorboard.compat.proto import event_pb2, summary_pb2
from tensorboard.summary.writer import event_file_writer

from darkjax.convention import Convention
from darkjax.data import batch as batch_lib
from darkjax.train import step as step_lib

_LOG = logging.getLogger(__name__)

# Steps of a profile: after the first, which compiles, and those that estimate
# the length of the run (log.py), which a profile would slow down.
_FROM, _TO = 12, 17
_RED = (255, 40, 40)


class Curves(event_file_writer.EventFileWriter):
  """An event file; `flush` and `close` write what is buffered."""

  def __init__(self, folder: str | os.PathLike, *, start_step: int):
    """Opens a file in `folder`; TensorBoard drops points after `start_step`."""
    super().__init__(os.fspath(folder))
    start = event_pb2.SessionLog(status=event_pb2.SessionLog.START)
    self._add(start_step + 1, session_log=start)

  def scalar(self, name: str, value: float, step: int) -> None:
    """Adds a point to the curve `name`."""
    self._summary(step, tag=name, simple_value=value)

  def image(self, name: str, picture: Image.Image, step: int) -> None:
    """Adds an RGB picture to the series `name`."""
    encoded = io.BytesIO()
    picture.convert("RGB").save(encoded, format="JPEG", quality=90)
    image = summary_pb2.Summary.Image(
      width=picture.width,
      height=picture.height,
      colorspace=3,  # RGB, as the format numbers it
      encoded_image_string=encoded.getvalue(),
    )
    self._summary(step, tag=name, image=image)
    self.flush()

  def _summary(self, step, **value) -> None:
    value = summary_pb2.Summary.Value(**value)
    self._add(step, summary=summary_pb2.Summary(value=[value]))

  def _add(self, step, **content) -> None:
    event = event_pb2.Event(wall_time=time.time(), step=step, **content)
    self.add_event(event)


class Trace:
  """Profile of a few steps for TensorBoard and Perfetto; use it in a `with`."""

  def __init__(self, folder: str | os.PathLike | None, *, start_step: int):
    """Chooses the steps; a `folder` of None is for no profile."""
    self._folder, self._start = folder, start_step
    self._running = self._began = False

  def __enter__(self):
    return self

  def __exit__(self, *exception):
    if self._running:
      jax.profiler.stop_trace()
      self._running = False
      _LOG.info("profile of a few steps in %s/plugins/profile", self._folder)
    elif self._folder is not None and not self._began:
      _LOG.warning(
        "no profile: it begins after %d steps, which this run did not take",
        _FROM,
      )

  def after(self, step: int, values) -> None:
    """Starts or ends the profile after `step`, whose results are `values`."""
    if self._folder is None or step - self._start not in (_FROM, _TO):
      return
    jax.block_until_ready(values)  # so that whole steps are profiled
    if self._running:
      self.__exit__()
    else:
      folder = os.fspath(self._folder)
      jax.profiler.start_trace(folder, create_perfetto_trace=True)
      self._running = self._began = True


def draw_targets(
  batch: dict[str, np.ndarray], convention: Convention, *, count: int
) -> list[Image.Image]:
  """Draws the first people of a training batch under their target heatmaps.

  RGB in the size of the crops; the redder, the higher the target times the
  weight of its keypoint.
  """
  fields = batch_lib.to_device_fields(batch)
  first = jax.tree.map(lambda array: array[:count], fields)
  target, weights = step_lib.draw_targets(first, convention)
  strongest = np.asarray(target * weights[:, None, None, :]).max(-1)
  heatmap_from_crop = convention.heatmap_from_crop()
  return [
    _tinted(Image.fromarray(np.asarray(crop)), heat, heatmap_from_crop)
    for crop, heat in zip(first["image"], strongest, strict=True)
  ]


def _tinted(crop, heat, heatmap_from_crop) -> Image.Image:
  """Returns the crop with red where `heat` [H', W'] in [0, 1] is high."""
  share = Image.fromarray(np.uint8(np.clip(heat, 0, 1) * 255))
  # Pillow counts from the corner of a pixel, we from its centre.
  affine = heatmap_from_crop.astype(np.float64)
  affine[:, 2] += 0.5 - affine[:, :2].sum(-1) / 2
  share = share.transform(
    crop.size, Image.Transform.AFFINE, affine.ravel(), Image.Resampling.BILINEAR
  )
  return Image.composite(Image.new("RGB", crop.size, _RED), crop, share)
