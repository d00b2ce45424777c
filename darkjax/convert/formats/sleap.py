"""SLEAP's .slp files and packages, by sleap-io.

Images inside a package are written beside the json, with the bytes that they
have where these are an image of the right colours, else as PNG; so are frames
of videos that are there. A folder's files are its splits, see splits.py. Points
that the user made invisible are not labelled, as in SLEAP's training; instances
that a network predicted are left out. Edges and symmetric nodes are kept.

The centre of a pixel is an integer in SLEAP from its file format 1.1 on; sleap-
io takes half a pixel off the coordinates of older files.

Reference: sleap_io/io/slp.py of github.com/talmolab/sleap-io (0.9.5).
"""

import io
import pathlib
import re
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import PIL.Image

from darkjax.convert import extras, splits
from darkjax.convert.image_files import ImageFiles
from darkjax.convert.labels import (
  VISIBLE,
  Category,
  Frame,
  Image,
  Person,
  keypoint_row,
)
from darkjax.convert.project import Project

NAME = "animal"


def read(project: Project) -> list[Image]:
  """Reads one file, or the .slp files of a folder as splits."""
  images: list[Image] = []
  categories: dict[Any, Category] = {}
  for path, name, split in splits.of_files(project.list_files("*.slp")):
    found = project.find_images(path.parent, split=name)
    listed = _read_file(path, found, categories)
    for image in listed:
      image.split = split
      if split and isinstance(image.source, Frame):
        frame = image.source
        image.source = frame._replace(name=f"{split}/{frame.name}")
    images += listed
    found.check_found(path, len(listed))
  return images


def _read_file(
  path: pathlib.Path, found: ImageFiles, categories: dict[Any, Category]
) -> list[Image]:
  sleap_io = extras.load("sleap_io", f"{path}: this format")
  try:
    with warnings.catch_warnings():
      warnings.simplefilter("ignore")
      content = sleap_io.load_file(str(path))
      frames = list(content.labeled_frames)
  except Exception as error:  # it raises whatever it stumbles on
    raise ValueError(
      f"{path}: sleap-io cannot read it ({type(error).__name__}: {error})"
    ) from error
  names = _video_names(content.videos)
  images: dict[tuple[int, int], Image] = {}
  for frame in frames:
    predicted = len(frame.instances) - len(frame.user_instances)
    found.left_out["instances that a network predicted"] += predicted
    if predicted and not frame.user_instances:
      continue
    key = (id(frame.video), int(frame.frame_idx))
    image = images.get(key) or _image(frame.video, key[1], names, found)
    if image is not None:
      for instance in frame.user_instances:
        category = _category(instance.skeleton, categories)
        rows = [keypoint_row(x, y, VISIBLE) for x, y in instance.numpy()]
        image.people.append(Person(category, np.array(rows)))
      images[key] = image
  return list(images.values())


def _category(skeleton: Any, categories: dict[Any, Category]) -> Category:
  """The category of a skeleton, the same for equal skeletons of files."""
  category = Category(
    skeleton.name or NAME,
    tuple(map(str.strip, skeleton.node_names)),
    tuple((int(a), int(b)) for a, b in skeleton.edge_inds),
    # Empty means that nothing was said, not that nothing is symmetric.
    tuple(sorted({(int(a), int(b)) for a, b in skeleton.symmetry_inds}))
    or None,
  )
  key = (category.name, category.keypoints)
  return categories.setdefault(key, category)


def _video_names(videos: Sequence[Any]) -> dict[int, str]:
  """A folder for the frames of each video, by its id()."""
  names: dict[int, str] = {}
  for number, video in enumerate(videos):
    name = _file_name(video.source_video or video)
    stem = re.sub(r"[^\w-]+", "_", pathlib.PurePosixPath(name).stem)
    if stem in names.values() or not stem:
      stem = f"{stem}_{number}"
    names[id(video)] = stem
  return names


def _file_name(video: Any) -> str:
  name = video.filename
  return str(name[0] if isinstance(name, list) else name).replace("\\", "/")


def _image(
  video: Any, index: int, names: dict[int, str], found: ImageFiles
) -> Image | None:
  """The image of a frame: a file, one in a package, or one of a video."""
  if isinstance(video.filename, list):
    return found.open(str(video.filename[index]))
  stem = names.setdefault(id(video), f"video_{len(names)}")
  name = f"{stem}/frame_{index:06d}"
  read = _embedded(video, index)
  if read is None:
    if not _find_video(video, found):
      found.missing.append(_file_name(video))
      found.left_out.add("frames of videos not found", f"{stem}/{index}")
      return None
    read = _as_png(video, index)
  data_name = f"{name}.png"
  if isinstance(read, tuple):
    suffix, read = read
    data_name = f"{name}.{suffix}"
  shape = video.shape
  size = None if shape is None else (int(shape[1]), int(shape[2]))
  return Image(Frame(data_name, read), size)


def _embedded(
  video: Any, index: int
) -> tuple[str, Callable[[], bytes]] | Callable[[], bytes] | None:
  """How to read an image inside the package; None for one that is not."""
  backend = video.backend
  if not getattr(backend, "has_embedded_images", False):
    return None
  if not backend.has_frame(index):
    return None
  kind = {"jpeg": "jpg"}.get(backend.image_format, backend.image_format)
  grey = video.shape is not None and video.shape[-1] == 1
  # OpenCV writes what it takes for BGR: with red and blue swapped in the file.
  if kind in ("jpg", "png") and (grey or backend.channel_order == "RGB"):
    return kind, lambda: bytes(
      np.asarray(backend.get_frame_raw_bytes(index)).astype(np.uint8)
    )
  return _as_png(video, index)


def _find_video(video: Any, found: ImageFiles) -> bool:
  """Points a video to its file; returns whether there is one."""
  if "://" in _file_name(video):
    return False
  if not video.exists():
    name = pathlib.PurePosixPath(_file_name(video)).name
    paths = [folder / name for folder in found.folders]
    path = next((path for path in paths if path.is_file()), None)
    if path is None:
      return False
    video.replace_filename(str(path))
  # sleap-io too takes a video of that name beside the labels.
  given = video.backend_metadata.get("filename") or _file_name(video)
  found.claim(pathlib.Path(_file_name(video)), str(given))
  return True


def _as_png(video: Any, index: int) -> Callable[[], bytes]:
  def read() -> bytes:
    try:
      frame = np.asarray(video[index])
    except Exception as error:  # decoders raise whatever they stumble on
      raise ValueError(
        f"{_file_name(video)}: frame {index} cannot be read ({error})"
      ) from error
    if frame.ndim == 3 and frame.shape[2] == 1:
      frame = frame[..., 0]
    file = io.BytesIO()
    PIL.Image.fromarray(frame).save(file, "PNG")
    return file.getvalue()

  return read
