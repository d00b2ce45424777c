"""Images that cannot be read: an error, or a skip that is counted and bounded.

An image is unreadable where its file is missing, truncated, no JPEG or PNG,
larger than `image.MAX_PIXELS`, or of another size than its json says. It is met
while the records are made. With "raise" the first one ends that with an error
that names it. With "skip" each is named in the log, its record is kept without
pixels, and more than a share of them is an error all the same. Nobody on it is
trained on; the metrics of COCO go by the json, so that whoever is labelled on
it counts as missed.

Damaged records are always an error: they are copies, and are made again.
"""

import dataclasses
import logging
import pathlib
from collections.abc import Mapping
from typing import Any

from darkjax.data.coco import reader
from darkjax.data.images import encoded

_LOG = logging.getLogger(__name__)

ON_ERROR = ("raise", "skip")


@dataclasses.dataclass(frozen=True)
class Tolerance:
  """What an unreadable image does.

  Attributes:
    on_error: one of `ON_ERROR`.
    max_skipped: share of the images that may be skipped.

  Raises:
    ValueError: an unknown choice, or no share.
  """

  on_error: str = "raise"
  max_skipped: float = 0.01

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
    """Refuses a data set of which too much is unreadable.

    Args:
      skipped: how many images are unreadable.
      images: of how many.
      path: of the json, for the message.

    Raises:
      ValueError: more than the tolerated share.
    """
    if skipped > self.max_skipped * images:
      raise ValueError(
        f"{path}: {skipped} of {images} images cannot be read, more than the "
        f"share data.max_skipped={self.max_skipped:g}; the log names them. "
        "Check the folder of images, mend the files, or raise the share"
      )


RAISE = Tolerance()


def read(
  image: Mapping[str, Any],
  folder: pathlib.Path,
  annotations: pathlib.Path,
  tolerance: Tolerance,
) -> tuple[bytes, tuple[int, int]]:
  """The bytes of a json's image and its (height, width), px.

  Returns:
    Bytes and size; where it is skipped b"" and the size of the json, or (0, 0)
    where that says none.

  Raises:
    FileNotFoundError: no such file, and `tolerance` raises.
    ValueError: not an image of that size, and `tolerance` raises.
  """
  try:
    data, size = encoded.read_image(folder / image["file_name"])
    _check_size(image, size, annotations)
  except (FileNotFoundError, ValueError) as error:
    if tolerance.on_error == "raise":
      raise
    _LOG.warning("skipped image %d: %s", image["image_id"], error)
    return b"", image["size"] or (0, 0)
  return data, size


def _check_size(image, size: tuple[int, int], path: pathlib.Path) -> None:
  problem = encoded.size_problem(image["size"], size)
  if problem:
    raise ValueError(
      f"{path}: image {image['image_id']} ({image['file_name']}) {problem}; "
      "coordinates would not fit: use the image the labels were made on, or "
      f"correct the json. {reader.hint(path)} (with --images=FOLDER)"
    )
