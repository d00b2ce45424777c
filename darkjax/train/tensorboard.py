"""TensorBoard curves and pictures of a run, without TensorFlow."""

import io
import os
import time

from PIL import Image
from tensorboard.compat.proto import event_pb2, summary_pb2
from tensorboard.summary.writer import event_file_writer


class Curves:
  """Writes one event file; close it, so that what is buffered is written."""

  def __init__(self, folder: str | os.PathLike, *, start_step: int):
    """Opens a new event file.

    Args:
      folder: of the run.
      start_step: steps done before. TensorBoard drops later steps of earlier
        files in the folder.
    """
    self._writer = event_file_writer.EventFileWriter(os.fspath(folder))
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
    self._writer.flush()

  def flush(self) -> None:
    """Writes what is buffered, so that a kill does not lose it."""
    self._writer.flush()

  def close(self) -> None:
    """Writes what is buffered."""
    self._writer.close()

  def _summary(self, step, **value) -> None:
    value = summary_pb2.Summary.Value(**value)
    self._add(step, summary=summary_pb2.Summary(value=[value]))

  def _add(self, step, **content) -> None:
    event = event_pb2.Event(wall_time=time.time(), step=step, **content)
    self._writer.add_event(event)
