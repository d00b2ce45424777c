"""A labelling project to read, and what of it cannot be used."""

import dataclasses
import pathlib
from collections.abc import Sequence

from darkjax.convert.image_files import ImageFiles
from darkjax.convert.labels import LeftOut


@dataclasses.dataclass
class Project:
  """What the reader of a format is given.

  A reader, `read(project)`, returns the images with their people. It raises
  ValueError where the labels are damaged or none of their images is there, and
  ImportError where a package of the extra `convert` is missing.

  Attributes:
    source: the file or folder of the labels.
    images: further folders to look for images in.
    keypoints: names of all keypoints in their order, which count where the
      format has no order; () for none.
    left_out: what is counted and said while reading.
  """

  source: pathlib.Path
  images: Sequence[pathlib.Path] = ()
  keypoints: Sequence[str] = ()
  left_out: LeftOut = dataclasses.field(default_factory=LeftOut)

  @property
  def folder(self) -> pathlib.Path:
    """The folder of the labels."""
    return self.source if self.source.is_dir() else self.source.parent

  def list_files(self, pattern: str) -> list[pathlib.Path]:
    """Returns the files of a folder that fit a pattern, or the one file."""
    if self.source.is_dir():
      return sorted(self.source.glob(pattern))
    return [self.source]

  def find_images(self, *near: pathlib.Path, split: str = "") -> ImageFiles:
    """Returns the images below the folders given and some near the labels."""
    return ImageFiles([*self.images, *near], self.left_out, split)
