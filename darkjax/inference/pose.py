"""`Pose`: photographs in, people with keypoints in image pixels out.

    pose = Pose.pretrained()  # or Pose.from_checkpoint("runs/NAME")
    people = pose("photo.jpg", boxes=[[30, 40, 120, 300]])
    pose = Pose.pretrained(detector="yolox_s.onnx")  # finds the boxes
    people[0].keypoints_image, people[0].scores, people[0].names
    people.plot().save("people.png")

The host cuts the crops out of the photographs; the rest is one jitted function.
People of all photographs share batches of 1, 2, 4, ... crops, so that only
these few sizes are compiled. A detector works on the next photographs, in a
thread, while the device works on a batch.
"""

import functools
import os
import pathlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, cast

import numpy as np
import PIL.Image

from darkjax import geometry
from darkjax.checkpoint import hub
from darkjax.data.images import photo as photo_lib
from darkjax.data.images.photo import ImageLike
from darkjax.heatmaps import blur
from darkjax.inference import batches
from darkjax.inference.backends import BACKENDS
from darkjax.inference.batches import Row
from darkjax.inference.detectors.load import load_detector
from darkjax.inference.people import People, Person
from darkjax.inference.photographs import PhotographReader
from darkjax.inference.predictor import Predictor

# The weights that come with darkjax; assets/README.md has their accuracy.
ASSETS = pathlib.Path(__file__).resolve().parents[1] / "assets"
PRETRAINED = ASSETS / "people_hrnet_small.safetensors"

_MOST_AHEAD = 8  # photographs in memory whose people a detector has found


class Pose:
  """Keypoints of people in photographs.

  It can be shared by threads, copied, and pickled if a function that was given
  as the detector can: sent to other processes, started by spawning, it compiles
  there, and reads the detector's file.

  Attributes:
    convention: the one the weights were trained with.
  """

  def __init__(
    self,
    predictor: Predictor,
    *,
    detector: Any = None,
    batch_size: int = 32,
    backend: str = "jax",
    return_heatmaps: bool = False,
  ):
    """Prepares a predictor; `from_checkpoint` reads one.

    Args:
      predictor: the network with its weights and decoder.
      detector: finds the people in photographs without boxes: whatever
        `load_detector` takes, or what it returns.
      batch_size: most crops at once, a power of two.
      backend: "jax", or "onnxruntime" on the CPU, which needs
        `pip install "darkjax[onnx]"`.
      return_heatmaps: keep each person's heatmaps, see `Person`.

    Raises:
      ValueError: a batch size that is not a power of two, an unknown backend,
        or see `load_detector`.
      ImportError: the backend's packages are missing.
    """
    if batch_size < 1 or batch_size & (batch_size - 1):
      raise ValueError(
        f"batch_size is a power of two such as 32, got {batch_size}"
      )
    if backend not in BACKENDS:
      raise ValueError(f"backend is one of {list(BACKENDS)}, got {backend!r}")
    self.convention = predictor.convention
    if detector is not None:
      detector = load_detector(detector)
    ahead = min(batch_size, _MOST_AHEAD)
    self._read = PhotographReader(detector, ahead=ahead)
    self._restore = functools.partial(
      type(self),
      predictor,
      detector=detector,
      batch_size=batch_size,
      backend=backend,
      return_heatmaps=return_heatmaps,
    )
    self._batch_size = batch_size
    self._backend = BACKENDS[backend](
      predictor, return_heatmaps=return_heatmaps
    )
    self._calibration = predictor.calibration

  def __reduce__(self):
    return self._restore, ()

  @classmethod
  def from_checkpoint(
    cls,
    path: str | pathlib.Path,
    *,
    step: int | None = None,
    detector: Any = None,
    batch_size: int = 32,
    backend: str = "jax",
    return_heatmaps: bool = False,
    **options: Any,
  ) -> "Pose":
    """Reads a model from a run, a release, converted weights or their file.

    Args:
      path: the folder, or the file of darkjax.release.
      step: a step of the folder; the latest by default.
      detector: see `Pose`.
      batch_size: see `Pose`.
      backend: see `Pose`.
      return_heatmaps: see `Pose`.
      **options: method, flip_test, border, see `Predictor`.

    Raises:
      FileNotFoundError: no checkpoint there.
      ValueError: a file that holds no weights, or see `Predictor` and `Pose`.
    """
    predictor = Predictor.from_checkpoint(path, step, **options)
    return cls(
      predictor,
      detector=detector,
      batch_size=batch_size,
      backend=backend,
      return_heatmaps=return_heatmaps,
    )

  @classmethod
  def from_pretrained(
    cls,
    name: str | pathlib.Path,
    *,
    revision: str | None = None,
    **options: Any,
  ) -> "Pose":
    """Loads a release by its name, see `darkjax.checkpoint.hub.find`.

    Args:
      name: a folder that darkjax.release wrote, or "user/repository" of the
        Hugging Face hub, which needs `pip install "darkjax[hub]"`.
      revision: branch, tag or commit of the repository; its main branch by
        default.
      **options: see `from_checkpoint`.

    Raises:
      FileNotFoundError: no such folder, repository, revision or file.
      ImportError: the extra `hub` is not installed.
      RuntimeError: the hub cannot be reached and the cache lacks the file.
      ValueError: a damaged file, or see `from_checkpoint`.
    """
    return cls.from_checkpoint(hub.find(name, revision), **options)

  @classmethod
  def pretrained(cls, name: str = "small", **options: Any) -> "Pose":
    """Loads the small HRNet that comes with darkjax: COCO's 17 keypoints.

    It was trained on 16,819 people at sport and in everyday photographs, for
    research only; assets/README.md has its accuracy and its licence.

    Args:
      name: "small", the only one.
      **options: see `from_checkpoint`.

    Raises:
      ValueError: another name.
    """
    if name != "small":
      raise ValueError(
        f"the weights that come with darkjax are named small, got {name!r}; "
        "from_checkpoint and from_pretrained read others"
      )
    return cls.from_checkpoint(PRETRAINED, **options)

  def __call__(
    self, images: ImageLike | Sequence[ImageLike], boxes: Any = None
  ) -> People | list[People]:
    """Computes people's keypoints.

    Args:
      images: a photograph, or a list of them: paths, PIL images or uint8 arrays
        [H, W, 3] RGB; grey and RGBA work too. Files and PIL images are turned
        upright by their EXIF tag, and boxes and keypoints refer to the upright
        picture; arrays are used as they are.
      boxes: [N, 4] (x, y, w, h), image px, each overlapping the photograph, or
        a `supervision.Detections` of people; for a list, one of them (or None)
        per photograph. None is what the detector finds or, without one, the
        whole photograph as one person's box. N may be 0.

    Returns:
      For one photograph `People`, a list of N `Person`; for a list of
      photographs, a list of `People`.

    Raises:
      FileNotFoundError: a path that is no file.
      ValueError: an image or a box that cannot be used.
    """
    single = isinstance(images, str | os.PathLike | PIL.Image.Image)
    if single or hasattr(images, "__array__"):
      return next(self.stream([(cast(ImageLike, images), boxes)]))
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
    self, photographs: Iterable[tuple[ImageLike, Any]]
  ) -> Iterator[People]:
    """Yields the `People` of any number of photographs or frames, in order.

    It reads ahead by about two batches, with a detector by another one or eight
    photographs more, and keeps no photograph whose people it has yielded.

    Args:
      photographs: pairs of an image and its boxes [N, 4] or None, see
        `__call__`.
    """
    for rows, keypoints in batches.run(
      self._rows(photographs), self._backend, self._batch_size
    ):
      persons = (row for row in rows if row.crop is not None)
      for n, row in enumerate(persons):
        row.people.append(self._person(row, keypoints, n))
      yield from (row.people for row in rows if row.last)

  def _person(self, row, keypoints, n) -> Person:
    """Returns the person of a row, whose keypoints are the n-th."""
    heatmaps = keypoints.heatmaps
    return Person(
      keypoints.keypoints_image[n],
      keypoints.scores[n],
      keypoints.covariances[n],
      row.bbox,
      self.convention.skeleton,
      row.people.image,
      row.score,
      heatmaps=None if heatmaps is None else heatmaps[n],
      image_from_heatmap=None if heatmaps is None else row.crop[1],
      calibration=self._calibration,
    )

  def peak_width(self, bbox: np.ndarray) -> float:
    """Returns a clean peak's standard deviation under DARK, √(tr Σ / 2).

    Args:
      bbox: [4] (x, y, w, h) of the person, image px, as is the result.
    """
    convention = self.convention
    variance = convention.sigma**2 + blur.blur_variance(convention.blur_kernel)
    _, _, crop_from_image = convention.crop_from_box(bbox)
    linear = self._image_from_heatmap(crop_from_image)[:, :2]
    return float(np.sqrt(variance * abs(np.linalg.det(linear))))

  def _rows(self, photographs) -> Iterator[Row]:
    for image, pixels, boxes, scores in self._read(photographs):
      people = People([], image, self.convention.skeleton)
      if not len(boxes):
        yield Row(people, None, None, True)
      for i, (bbox, score) in enumerate(zip(boxes, scores, strict=True), 1):
        crop = self._crop(pixels, bbox)
        yield Row(people, bbox, crop, i == len(boxes), float(score))

  def _crop(self, pixels, bbox) -> tuple[np.ndarray, np.ndarray]:
    """Returns a crop [H, W, 3] uint8 and its image_from_heatmap [2, 3]."""
    _, _, crop_from_image = self.convention.crop_from_box(bbox)
    crop = photo_lib.warp(pixels, crop_from_image, self.convention.crop_size)
    return crop, self._image_from_heatmap(crop_from_image)

  def _image_from_heatmap(self, crop_from_image) -> np.ndarray:
    heatmap_from_crop = self.convention.heatmap_from_crop()
    return geometry.invert(geometry.compose(heatmap_from_crop, crop_from_image))
