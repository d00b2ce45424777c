"""What `check` has to say about a data set: findings, and what they look at."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from darkjax.data.coco import reader, rules
from darkjax.data.people_table import People

# How much a finding matters.
ERROR = "error"  # the library refuses the data: training stops at the start
WARNING = "warning"  # it runs, and learns or scores something wrong
NOTE = "note"  # worth knowing; a few odd labels are in every data set

# Odd labels are noise up to this share of the people (or keypoints, images).
FEW = 0.01
# Where neither the json nor a file tells the size of an image, px.
UNKNOWN_SIZE = np.iinfo(np.int32).max


def is_possible_size(size: tuple[int, int]) -> bool:
  """Whether an image may be of a (height, width), px."""
  return all(0 < n < UNKNOWN_SIZE for n in size)


class Finding(NamedTuple):
  """One thing that is wrong or odd.

  Attributes:
    severity: `ERROR`, `WARNING` or `NOTE`.
    rule: its name, for machines.
    text: what was found.
    fix: what to do about it.
    ids: of the annotations (or images, where the text says so) concerned.
  """

  severity: str
  rule: str
  text: str
  fix: str
  ids: tuple[int | str, ...] = ()


def by_share(count: int, total: int) -> str:
  """`NOTE` for a few of them, `WARNING` for more than `FEW`."""
  return NOTE if count <= FEW * total else WARNING


def share(count: int, total: int) -> str:
  """Such as "3 of 200 (1.5 %)"."""
  return f"{count} of {total} ({100 * count / max(total, 1):.3g} %)"


@dataclasses.dataclass(frozen=True, eq=False)
class Labels:
  """A json's labels, as far as they can be read.

  Attributes:
    content: the json.
    people: the annotations without problems; `record` is the position of each
      in the file.
    broken: for the others, the annotation's id (or its position in the file)
      and what is wrong with it.
    sizes: (height, width), px, by image id, of the images that have one.
  """

  content: reader.Content
  people: People
  broken: Sequence[tuple[int | str, rules.Problem]]
  sizes: Mapping[int, tuple[int, int]]

  def trainable(self) -> People:
    """The people that training shows."""
    return self.people.rows(self.people.trainable)

  def annotations(self, people: People) -> list[Mapping]:
    """What the json says about some of the people."""
    return [self.content.annotations[i] for i in people.record]


def read_labels(
  content: reader.Content,
  file_sizes: Mapping[int, tuple[int, int]] | None = None,
) -> Labels:
  """The people of a json; annotations with problems are set aside.

  Args:
    content: the json.
    file_sizes: (height, width), px, by image id, of the image files, for
      images whose size the json does not say or says wrong.
  """
  count = content.skeleton.num_keypoints
  told = {i: reader.image_size(m) for i, m in content.images.items()}
  told = {i: s for i, s in told.items() if s and is_possible_size(s)}
  sizes = {**(file_sizes or {}), **told}
  broken, usable = [], {}
  for position, annotation in enumerate(content.annotations):
    problems = list(rules.problems(annotation, count, content.images))
    name = annotation.get("id", f"number {position}")
    broken += [(name, problem) for problem in problems]
    if not problems:
      usable[position] = annotation
  return Labels(content, _table(usable, count, sizes), broken, sizes)


def _table(usable, count: int, sizes) -> People:
  people = [reader.to_person(a, count) for a in usable.values()]
  image_id = np.array([a["image_id"] for a in usable.values()], np.int64)
  unknown = (UNKNOWN_SIZE, UNKNOWN_SIZE)
  size = [sizes.get(i, unknown) for i in image_id.tolist()]

  def column(name, dtype, *shape):
    return np.array([p[name] for p in people], dtype).reshape(-1, *shape)

  return People(
    record=np.array(list(usable), np.int64),
    image_id=image_id,
    annotation_id=column("annotation_id", np.int64),
    image_size=np.array(size, np.int32).reshape(-1, 2),
    bbox=column("bbox", np.float32, 4),
    area=column("area", np.float32),
    keypoints=column("keypoints", np.float32, count, 3),
    iscrowd=column("iscrowd", bool),
    score=column("score", np.float32),
    readable=np.ones(len(people), bool),
  )
