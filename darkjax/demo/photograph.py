"""What the page shows of a photograph: its people, in words, rows and files."""

import html
import io
import json
import os
import pathlib
import tempfile
from collections.abc import Sequence

import numpy as np
import PIL.Image
from PIL import ImageDraw

from darkjax.data.images import photo as photo_lib
from darkjax.demo import pictures
from darkjax.inference.pose import Pose
from darkjax.predict import inputs, writers
from darkjax.predict.people import PicturePeople, predict_people
from darkjax.runtime import files

COLUMNS = ("person", "keypoint", "x", "y", "score")
_LONGEST = 1600  # px of a side of the drawing on the page
_BOX = (255, 255, 255)


def find_people(pose: Pose, path: str | os.PathLike[str]) -> PicturePeople:
  """Finds a photograph's people as `darkjax predict` does, best first.

  Raises:
    FileNotFoundError: no such file.
    ValueError: a file that is no photograph, see `photo.read`.
  """
  path = pathlib.Path(path)
  (image_id,) = inputs.image_ids([path], [None])
  pixels = photo_lib.read(path)
  picture = inputs.Picture(path.name, image_id, float("nan"), pixels)
  (found,) = predict_people(pose, [picture])
  return found


def describe(found: PicturePeople, min_score: float, *, detector: bool) -> str:
  """Returns how many people there are, and how many keypoints are shown."""
  if not found.people:
    return "The detector finds no person in this photograph."
  count = len(found.people)
  text = f"{count} {'person' if count == 1 else 'people'} found."
  if not detector:
    text = (
      "No detector: the whole picture is taken as one person. "
      "`darkjax demo --detector=FILE` finds everyone."
    )
  scores = found.people.scores
  shown = int((scores >= min_score).sum())
  if not shown:
    return f"{text} No keypoint has a score of {min_score:.2f} or more."
  return (
    f"{text} {shown} of {scores.size} keypoints have a score of "
    f"{min_score:.2f} or more."
  )


def table(found: PicturePeople, min_score: float) -> list[list[str | int]]:
  """Returns `COLUMNS` of the keypoints shown; x and y in image px."""
  return [
    [n, name, f"{x:.2f}", f"{y:.2f}", f"{score:.3f}"]
    for n, person in enumerate(found.people, 1)
    for name, (x, y), score in zip(
      person.names, person.keypoints_image, person.scores, strict=True
    )
    if score >= min_score
  ]


def to_html(rows: Sequence[Sequence[str | int]]) -> str:
  """Returns rows of `table` as the page shows them."""

  def row(cells, tag):
    texts = (html.escape(str(cell)) for cell in cells)
    return f"<tr>{''.join(f'<{tag}>{text}</{tag}>' for text in texts)}</tr>"

  body = "".join(row(cells, "td") for cells in rows)
  return (
    "<table><caption>Keypoints, x and y in pixels of the photograph</caption>"
    f"<thead>{row(COLUMNS, 'th')}</thead><tbody>{body}</tbody></table>"
  )


def draw(found: PicturePeople, min_score: float) -> PIL.Image.Image:
  """Draws the people on the photograph, numbered if there are several."""
  picture = found.people.plot(min_score=min_score)
  if len(found.people) > 1:
    drawing = ImageDraw.Draw(picture)
    size = max(16, max(picture.size) // 25)
    for n, (x, y, w, h) in enumerate(found.people.boxes, 1):
      drawing.rectangle((x, y, x + w, y + h), None, _BOX, max(2, size // 12))
      pictures.write_plate(drawing, (x, y + h), str(n), size)
  return picture


def for_page(picture: PIL.Image.Image) -> PIL.Image.Image:
  """Returns a copy that is not larger than a screen."""
  copy = picture.copy()
  copy.thumbnail((_LONGEST, _LONGEST))
  return copy


def write_json(found: PicturePeople, folder: str) -> str:
  """Writes everyone in COCO's format, as results.json of `darkjax predict`.

  Returns:
    The path of the file, NAME_keypoints.json in a new folder.
  """
  content = json.dumps(writers.to_coco(found), indent=1)
  return _write(found, folder, "keypoints.json", content.encode())


def write_drawing(
  found: PicturePeople, picture: PIL.Image.Image, folder: str
) -> str:
  """Writes a drawing as NAME_keypoints.png, see `write_json`."""
  data = io.BytesIO()
  picture.save(data, "png", compress_level=1)  # larger, in a third of the time
  return _write(found, folder, "keypoints.png", data.getvalue())


def _write(found: PicturePeople, folder: str, ending: str, data: bytes) -> str:
  stem = pathlib.Path(found.picture.name).stem
  path = pathlib.Path(tempfile.mkdtemp(dir=folder)) / f"{stem}_{ending}"
  files.write_whole(path, data)
  return str(path)


def best_keypoint(found: PicturePeople) -> str | None:
  """Returns the name of the first person's keypoint of the highest score."""
  if not found.people:
    return None
  return found.people.names[int(np.argmax(found.people.scores[0]))]
