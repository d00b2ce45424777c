"""Images that cannot be read: an error, or a skip that is counted and bounded.

An image is unreadable where its file is missing, truncated, no image, larger
than `photo.MAX_PIXELS`, or of another size than in its json. A skipped image is
logged and its record has no pixels. Nobody on it is trained on; COCO's metrics
count whoever is labelled on it as missed.
"""

import dataclasses
import logging
import pathlib
from collections.abc import Mapping
from typing import Any, NamedTuple

from darkjax.data.images import encoded
from darkjax.data.images.names import FolderNames
from darkjax.metrics.coco_annotations import check_hint

_LOG = logging.getLogger(__name__)

ON_ERROR = ("raise", "skip")


@dataclasses.dataclass(frozen=True)
class SkipPolicy:
  """What to do about images that cannot be read."""

  on_error: str = "raise"  # one of `ON_ERROR`
  max_skipped: float = 0.01  # share of the images that may be skipped

  def __post_init__(self):
    if self.on_error not in ON_ERROR:
      raise ValueError(
        f"data.on_error is one of {ON_ERROR}, got {self.on_error!r}"
      )
    if not 0 <= self.max_skipped <= 1:
      raise ValueError(
        f"data.max_skipped is a share in 0..1, got {self.max_skipped}"
      )

  def check(self, skipped: int, images: int, path: pathlib.Path) -> None:
    """Raises a ValueError for more skipped images than `max_skipped` allows."""
    if skipped > self.max_skipped * images:
      raise ValueError(
        f"{path}: {skipped} of {images} images cannot be read, more than the "
        f"share data.max_skipped={self.max_skipped:g}; the log names them. "
        "Check the folder of images, repair the files, or raise the share"
      )


RAISE = SkipPolicy()


class Encoded(NamedTuple):
  """An image for a record."""

  data: bytes  # b"" if it was skipped
  size: tuple[int, int]  # (height, width), px; the json's or (0, 0) if skipped
  # EXIF turns it, and no size says which frame the labels are of.
  frame_unknown: bool = False
  num_frames: int = 1  # of an animation, or pages


def read(
  image: Mapping[str, Any],
  folder: FolderNames,
  annotations: pathlib.Path,
  skip_policy: SkipPolicy,
  *,
  upright: bool = False,
) -> Encoded:
  """Reads a json's image, as stored or turned upright as EXIF says.

  Raises a FileNotFoundError or ValueError only where `skip_policy` does.
  """
  try:
    path = folder.path(image["file_name"])
    data, header = encoded.read_image(path, upright=upright)
    problem = encoded.size_problem(image["size"], header, upright=upright)
    if problem:
      raise ValueError(
        f"{annotations}: image {image['file_name']} {problem}; coordinates "
        "would not fit: use the image the labels were made on, or correct the "
        f"json. {check_hint(annotations)} (with --images=FOLDER)"
      )
  except (FileNotFoundError, ValueError) as error:
    if skip_policy.on_error == "raise":
      raise
    _LOG.warning("skipped image %s: %s", image["file_name"], error)
    return Encoded(b"", image["size"] or (0, 0))
  return Encoded(
    data,
    header.size(upright=upright),
    frame_unknown=encoded.frame_unknown(image["size"], header),
    num_frames=header.num_frames,
  )
