"""Labels of any tool in memory: categories, images, people, what is left out.

Coordinates are in px of the image as it is stored, x to the right, y down. An
integer is the centre of a pixel, as everywhere in darkjax, where the tool says
what its integers are; the readers of the others take numbers as they are and
say so.
"""

import dataclasses
import pathlib
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

Size = tuple[int, int]  # (height, width), px
Bbox = tuple[float, float, float, float]  # (x, y, w, h), px

# Field of the `info` of a json that a conversion wrote: the source's format.
CONVERTED = "converted_from"

UNLABELLED, HIDDEN, VISIBLE = 0.0, 1.0, 2.0


@dataclasses.dataclass(frozen=True)
class Category:
  """A class of people, or of animals or things, and its K keypoints."""

  name: str
  keypoints: tuple[str, ...]
  limbs: tuple[tuple[int, int], ...] = ()  # indices from 0
  # Indices from 0; None where the tool does not say what is symmetric.
  flip_pairs: tuple[tuple[int, int], ...] | None = None
  fields: Mapping[str, Any] = dataclasses.field(default_factory=dict)  # COCO's


@dataclasses.dataclass
class Person:
  """One labelled person."""

  category: Category
  keypoints: np.ndarray  # [K, 3] (x, y, visibility 0, 1 or 2), px
  bbox: Bbox | None = None  # None: to be made from the keypoints
  fields: Mapping[str, Any] = dataclasses.field(default_factory=dict)  # COCO's


class Frame(NamedTuple):
  """An image that is inside another file and has to be written."""

  name: str  # of the file to write, relative, with / between its parts
  read: Callable[[], bytes]  # the content of that file


@dataclasses.dataclass
class Image:
  """One image and the people on it."""

  source: pathlib.Path | Frame
  size: Size | None = None
  people: list[Person] = dataclasses.field(default_factory=list)
  split: str = ""
  fields: Mapping[str, Any] = dataclasses.field(default_factory=dict)  # COCO's

  @property
  def parent(self) -> pathlib.PurePath:
    """The folder of the image, of a frame inside another file its folder."""
    if isinstance(self.source, Frame):
      return pathlib.PurePosixPath(self.source.name).parent
    return self.source.parent


class LeftOut(Counter[str]):
  """Numbers by what they count, such as "images not found"."""

  def __init__(self):
    super().__init__()
    self.names: dict[str, list[str]] = {}  # of what is counted, where it has
    self.guessed: dict[str, str] = {}  # files of images, by the name given
    self.warnings: list[str] = []  # of what is not left out
    self.notes: list[str] = []  # how the labels were read

  def add(self, reason: str, name: str) -> None:
    """Counts one more, with its name."""
    self[reason] += 1
    self.names.setdefault(reason, []).append(name)


@dataclasses.dataclass
class Labels:
  """What a reader found."""

  images: list[Image]
  left_out: LeftOut

  def drop_empty(self) -> None:
    """Drops and counts people with neither a labelled keypoint nor a box."""
    for image in self.images:
      kept = [p for p in image.people if number_labelled(p) or p.bbox]
      dropped = len(image.people) - len(kept)
      self.left_out["people without a labelled keypoint"] += dropped
      image.people = kept

  def people(self) -> list[Person]:
    """Returns the people of all images."""
    return [person for image in self.images for person in image.people]

  def categories(self) -> list[Category]:
    """Returns the categories that people have, in order of appearance."""
    return list({id(p.category): p.category for p in self.people()}.values())

  def splits(self) -> list[str]:
    """Returns the names of the splits, in order of appearance."""
    return list(dict.fromkeys(image.split for image in self.images))


def is_converted(content: Any) -> bool:
  """Returns whether the content of a json is of a conversion."""
  info = content.get("info") if isinstance(content, Mapping) else None
  return isinstance(info, Mapping) and CONVERTED in info


def keypoint_row(x: float, y: float, visibility: float) -> list[float]:
  """Returns (x, y, visibility), zeros for a point that is not labelled.

  >>> keypoint_row(float("nan"), 1.0, 2.0)
  [0.0, 0.0, 0.0]
  """
  if visibility == UNLABELLED or not np.isfinite([x, y]).all():
    return [0.0, 0.0, UNLABELLED]
  return [float(x), float(y), float(visibility)]


def number_labelled(person: Person) -> int:
  """Returns how many keypoints of a person are labelled."""
  return int((person.keypoints[:, 2] > 0).sum())
