"""Labels of a json as far as they can be read, for the checks to look at."""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from darkjax.data.coco import reader
from darkjax.data.people_table import People
from darkjax.metrics import coco_fields, coco_problems

Size = tuple[int, int]  # (height, width), px

# Where neither the json nor a file has the size of an image, px.
UNKNOWN_SIZE = np.iinfo(np.int32).max
# Labels up to this far over an edge do not count as outside, px.
TOLERANCE = 1.0


def is_possible_size(size: Size) -> bool:
  """Returns whether an image can have this size."""
  return all(0 < n < UNKNOWN_SIZE for n in size)


@dataclasses.dataclass(frozen=True, eq=False)
class Labels:
  """A json, its people, and what is wrong with the other annotations."""

  content: reader.Content
  # Of the annotations without problems; `record` is each one's position, and
  # `annotation_id` [N] object the file's own.
  people: People
  # For the others, the id (or position) and what is wrong.
  broken: Sequence[tuple[int | str, coco_problems.Problem]]
  sizes: Mapping[int, Size]  # by image id, of the images that have one

  def trainable(self) -> People:
    """Returns the people that training shows."""
    return self.people.rows(self.people.trainable)


def read_labels(
  content: reader.Content, file_sizes: Mapping[int, Size] | None = None
) -> Labels:
  """Returns the labels of a json.

  Sizes of files, by image id, count where the json has none or a wrong one.
  """
  num_keypoints = content.skeleton.num_keypoints
  sizes = dict(file_sizes or {})
  for image_id, image in content.images.items():
    if (size := reader.image_size(image)) and is_possible_size(size):
      sizes[image_id] = size
  broken, usable = [], {}
  for position, annotation in enumerate(content.annotations):
    problems = list(
      coco_problems.find_problems(annotation, num_keypoints, content.images)
    )
    name = coco_fields.id_in_file(annotation)
    name = f"number {position}" if name is None else name
    broken += [(name, problem) for problem in problems]
    if not problems:
      usable[position] = annotation
  people = [reader.to_person(a, num_keypoints) for a in usable.values()]
  image_ids = [a["image_id"] for a in usable.values()]
  unknown = (UNKNOWN_SIZE, UNKNOWN_SIZE)
  image_sizes = [sizes.get(i, unknown) for i in image_ids]

  def column(name, dtype, *shape):
    return np.array([p[name] for p in people], dtype).reshape(-1, *shape)

  table = People(
    record=np.array(list(usable), np.int64),
    image_id=np.array(image_ids, np.int64),
    annotation_id=np.array(
      [*map(coco_fields.id_in_file, usable.values())], object
    ),
    image_size=np.array(image_sizes, np.int32).reshape(-1, 2),
    bbox=column("bbox", np.float32, 4),
    area=column("area", np.float32),
    keypoints=column("keypoints", np.float32, num_keypoints, 3),
    iscrowd=column("iscrowd", bool),
    score=column("score", np.float32),
    readable=np.ones(len(people), bool),
  )
  return Labels(content, table, broken, sizes)
