"""`Pose`: photographs in, people with keypoints in image pixels out.

    pose = Pose.pretrained()  # or Pose.from_checkpoint("runs/NAME")
    people = pose("photo.jpg", boxes=[[30, 40, 120, 300]])
    people[0].keypoints_image, people[0].scores, people[0].names
    people.plot().save("found.png")

The host cuts the crops out of the photographs, so that these never travel to
the device; the rest is one jitted function, see graph.py and backends.py.
People of all photographs share batches of 1, 2, 4, ... crops up to
`batch_size`, so that another number of people compiles nothing once these few
sizes have been seen.
"""

import os
import pathlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
import PIL.Image

from darkjax import checkpoint, geometry, inference, models
from darkjax.convention import Convention
from darkjax.data.images import photo as image_lib
from darkjax.heatmaps import blur
from darkjax.heatmaps.decode import BORDERS
from darkjax.inference import boxes as boxes_lib
from darkjax.inference.backends import BACKENDS
from darkjax.inference.people import People, Person
from darkjax.inference.predictor import Graph

# The weights that come with darkjax; assets/README.md says what they can do.
ASSETS = pathlib.Path(__file__).resolve().parents[1] / "assets"
PRETRAINED = ASSETS / "lsp_hrnet_small.npz"


class Pose:
  """Finds the keypoints of people in photographs.

  Attributes:
    convention: the one the weights were trained with.
  """

  def __init__(
    self,
    model: Any,
    variables: Any,
    convention: Convention,
    *,
    method: str = "dark",
    flip_test: bool = True,
    border: str = "refine",
    batch_size: int = 32,
    backend: str = "jax",
  ):
    """Takes weights at hand; `from_checkpoint` reads them.

    Args:
      model: a Linen module of darkjax.models.
      variables: its "params" and "batch_stats".
      convention: the one the weights were trained with.
      method: decoder, one of `inference.METHODS`.
      flip_test: average with the mirrored crop, which costs twice the time.
      border: of the dark decoder, see `decode_heatmaps`.
      batch_size: crops at once at the most, a power of two.
      backend: what computes: "jax", or "onnxruntime" on the CPU, with the same
        keypoints to 1e-3 px. It converts the network first and needs
        `pip install "darkjax[onnx]"`.

    Raises:
      ValueError: a batch size that is no power of two, or an unknown method,
        border or backend.
      ImportError: the backend's packages are missing.
    """
    if batch_size < 1 or batch_size & (batch_size - 1):
      raise ValueError(
        f"batch_size is a power of two such as 32, got {batch_size}"
      )
    for name, value, known in (
      ("method", method, inference.METHODS),
      ("border", border, BORDERS),
      ("backend", backend, tuple(BACKENDS)),
    ):
      if value not in known:
        raise ValueError(f"{name} is one of {list(known)}, got {value!r}")
    self.convention = convention
    self._batch_size = batch_size
    self._find = BACKENDS[backend](
      Graph(model, variables, convention, method, border, flip_test)
    )

  @classmethod
  def from_checkpoint(
    cls, path: str | os.PathLike, *, step: int | None = None, **options: Any
  ) -> "Pose":
    """Reads a model from a run, converted weights or a file of weights.

    Args:
      path: the folder, or the file of darkjax.release.
      step: which step of a folder; the latest by default.
      **options: method, flip_test, border, batch_size, backend, see `Pose`.

    Returns:
      A `Pose`.

    Raises:
      FileNotFoundError: no checkpoint there.
      ValueError: a file that holds no weights.
    """
    variables, metadata = checkpoint.load(path, step=step)
    model = models.create_model(**metadata.model)
    return cls(model, variables, metadata.convention, **options)

  @classmethod
  def pretrained(cls, **options: Any) -> "Pose":
    """The small HRNet that comes with darkjax: 14 keypoints of whole people.

    It was trained on 3,000 photographs of people at sport and is no match for
    networks of COCO; assets/README.md has its accuracy and its licence (the
    weights are for research).

    Args:
      **options: method, flip_test, border, batch_size, backend, see `Pose`.

    Returns:
      A `Pose`.
    """
    return cls.from_checkpoint(PRETRAINED, **options)

  def __call__(
    self,
    images: image_lib.ImageLike | Sequence[image_lib.ImageLike],
    boxes: Any = None,
  ) -> People | list[People]:
    """Finds people's keypoints.

    Args:
      images: a photograph, or a list of them. A photograph is a path, a PIL
        image or a uint8 array [H, W, 3] RGB; grey and RGBA work too, see
        `photo.read`. Files and PIL images are turned upright by their
        EXIF tag, and boxes and keypoints refer to the upright picture; pass
        `np.asarray(PIL.Image.open(path))` to work on the pixels as stored.
      boxes: where the people are. For one photograph [N, 4] (x, y, w, h), image
        px; for a list, one such array (or None) per photograph. None is the
        whole photograph as one person's box. N may be 0.

    Returns:
      For one photograph `People`, a list of N `Person`; for a list of
      photographs, a list of `People`.

    Raises:
      FileNotFoundError: a path that is no file; the message names it.
      ValueError: an image or a box that cannot be used; the message says which
        and why. A box may overlap the photograph's border, not lie beyond it.
    """
    if _is_photograph(images):
      return next(self.stream([(images, boxes)]))
    if not isinstance(images, Iterable) or isinstance(images, bytes):
      raise ValueError(
        "images are a path, a PIL image, a uint8 array, or a list of them, got "
        f"{type(images).__name__}"
      )
    images = list(images)
    boxes = [None] * len(images) if boxes is None else list(boxes)
    if len(boxes) != len(images):
      raise ValueError(
        "boxes of a list of images are a list with one [N, 4] array (or None) "
        f"per image, got {len(boxes)} for {len(images)} images"
      )
    return list(self.stream(zip(images, boxes, strict=True)))

  def stream(
    self, photographs: Iterable[tuple[image_lib.ImageLike, Any]]
  ) -> Iterator[People]:
    """Like a call with a list, for any number of photographs or video frames.

    It reads ahead by about two batches and keeps no photograph that it has
    yielded the people of. A photograph without boxes takes a place in a batch,
    so that reading ahead is bounded where nobody is to be seen.

    Args:
      photographs: pairs of an image and its boxes [N, 4] or None, see
        `__call__`.

    Yields:
      The `People` of each photograph, in order.
    """
    skeleton = self.convention.skeleton
    for places, found in self._batches(self._places(photographs)):
      located = zip(*found, strict=True)
      for place in places:
        people = place.people
        if place.bbox is not None:
          keypoints = next(located)
          people.append(Person(*keypoints, place.bbox, skeleton, people.image))
        if place.last:
          yield people

  def peak_width(self, bbox: np.ndarray) -> float:
    """Standard deviation of a clean peak: sqrt(tr Σ / 2) at its smallest.

    Args:
      bbox: [4] (x, y, w, h), image px.

    Returns:
      In image px, for the person in that box and the dark decoder.
    """
    convention = self.convention
    variance = convention.sigma**2 + blur.blur_variance(convention.blur_kernel)
    _, _, crop_from_image = convention.crop_from_box(bbox)
    linear = self._image_from_heatmap(crop_from_image)[:, :2]
    return float(np.sqrt(variance * abs(np.linalg.det(linear))))

  def _places(self, photographs) -> Iterator["_Place"]:
    """What takes a place in a batch: every box, and photographs without."""
    for n, (source, wanted) in enumerate(photographs):
      pixels = image_lib.read(source)
      wanted = boxes_lib.check(wanted, pixels.shape[:2], _name(source, n))
      people = People([], source)
      if not len(wanted):
        yield _Place(people, None, None, True)
      for i, bbox in enumerate(wanted, 1):
        crop = self._crop(pixels, bbox)
        yield _Place(people, bbox, crop, i == len(wanted))

  def _crop(self, pixels, bbox) -> tuple[np.ndarray, np.ndarray]:
    """A person's crop [H, W, 3] uint8 and image_from_heatmap [2, 3]."""
    _, _, crop_from_image = self.convention.crop_from_box(bbox)
    crop = image_lib.warp(pixels, crop_from_image, self.convention.crop_size)
    return crop, self._image_from_heatmap(crop_from_image)

  def _image_from_heatmap(self, crop_from_image) -> np.ndarray:
    heatmap_from_crop = self.convention.heatmap_from_crop()
    return geometry.invert(geometry.compose(heatmap_from_crop, crop_from_image))

  def _batches(self, places):
    """Places and, as NumPy arrays, what was found in their crops.

    While the device works on a batch the host cuts the next one.
    """
    running = None
    for batch in _groups(places, self._batch_size):
      crops = [place.crop for place in batch if place.crop is not None]
      started = batch, self._start(crops, rest=running is not None)
      if running is not None:
        yield _finish(*running)
      running = started
    if running is not None:
      yield _finish(*running)

  def _start(self, crops, rest: bool) -> tuple[inference.Keypoints, int]:
    """Sends crops to the backend; does not wait."""
    if not crops:
      return inference.Keypoints((), (), ()), 0
    images, matrices = (np.stack(arrays) for arrays in zip(*crops, strict=True))
    return self._find(images, matrices, rest=rest), len(crops)


class _Place(NamedTuple):
  """One row of a batch: a person's crop, or a photograph without people."""

  people: People  # of the photograph, filled as they are found
  bbox: np.ndarray | None
  crop: tuple[np.ndarray, np.ndarray] | None  # pixels, image_from_heatmap
  last: bool  # of the photograph


def _finish(places, started) -> tuple[list[_Place], inference.Keypoints]:
  """Waits for a batch and drops its padding."""
  found, count = started
  return places, jax.tree.map(lambda array: np.asarray(array)[:count], found)


def _groups(items: Iterable[Any], size: int) -> Iterator[list[Any]]:
  group = []
  for item in items:
    group.append(item)
    if len(group) == size:
      yield group
      group = []
  if group:
    yield group


def _is_photograph(images) -> bool:
  named = isinstance(images, str | os.PathLike | PIL.Image.Image)
  return named or hasattr(images, "__array__")


def _name(source, n: int) -> str:
  return f"image {source if isinstance(source, str | os.PathLike) else n}"
