"""Detectors in files of ONNX."""

import ast
import logging
import os
from typing import NamedTuple

import numpy as np

from darkjax.inference.detectors import forms
from darkjax.inference.detectors.letterbox import fit_image, normalize
from darkjax.inference.detectors.network import Network
from darkjax.inference.detectors.options import (
  MIN_SCORE,
  Fit,
  Options,
  Order,
  Values,
)
from darkjax.inference.detectors.outputs import Input
from darkjax.inference.detectors.people import Detections, select

_LOG = logging.getLogger(__name__)

_DEFAULT_SIZE = (640, 640)  # px, of files that leave it open


class _Settings(NamedTuple):
  """Options of which none is left open."""

  size: tuple[int, int]
  fit: Fit
  order: Order
  values: Values
  person_class: int
  min_score: float
  nms: float

  def __str__(self):
    """As a specification has them."""
    texts = self._asdict() | {"size": "{}x{}".format(*self.size)}
    return "&".join(f"{name}={text}" for name, text in texts.items())


class OnnxDetector:
  """A network of one of the forms that `forms.FORMS` lists."""

  def __init__(self, path: str | os.PathLike, options: Options):
    """Reads the file and runs the network once, to see its outputs.

    Raises:
      FileNotFoundError: no such file.
      ValueError: no detector of a known form, or options that do not fit it.
      ImportError: ONNX Runtime is not installed.
    """
    self._arguments = path, options
    try:
      self._network = Network(path, options.threads)
      size = _choose_size(self._network, options.size)
      grey = np.full((*size, 3), 0.5, np.float32)
      given = Input(size, self._network.metadata)
      self._form, self._names = forms.recognise(self._network.run(grey), given)
      self._settings = _settle(options, self._form, self._network, size)
    except ValueError as error:
      raise ValueError(f"detector {path}: {error}") from error
    _LOG.info(
      "detector %s is read as %s: ?%s",
      path,
      self._form.networks,
      self._settings,
    )
    if self._form.assumed and not (options.order and options.values):
      _LOG.warning("detector %s: %s", path, self._form.assumed)

  def __reduce__(self):
    return OnnxDetector, self._arguments

  def __call__(self, image: np.ndarray) -> Detections:
    """Finds people, see `load_detector`."""
    used = self._settings
    pixels, input_from_image = fit_image(image, used.size, used.fit)
    values = normalize(pixels, used.values, used.order)
    outputs = self._network.run(values, self._names)
    candidates = self._form.read(
      [outputs[name] for name in self._names],
      Input((pixels.shape[0], pixels.shape[1]), self._network.metadata),
      used.person_class,
    )
    likely = candidates.scores >= used.min_score
    return select(
      input_from_image.corners_image(candidates.corners[likely]),
      candidates.scores[likely],
      (image.shape[0], image.shape[1]),
      nms=used.nms if self._form.duplicates else 1.0,
    )


def _choose_size(
  network: Network, size: tuple[int, int] | None
) -> tuple[int, int]:
  """Returns (height, width) of the input, px."""
  height, width = network.image_input.size
  if size is None:
    size = _read_metadata_size(network.metadata.get("imgsz"))
    size = (height or size[0], width or size[1])
  if (height or size[0], width or size[1]) != size:
    raise ValueError(
      f"its input is {height} x {width} px and no other, got size={size}; "
      "leave the option out"
    )
  return size


def _read_metadata_size(text: str | None) -> tuple[int, int]:
  """Reads Ultralytics' "[480, 640]"."""
  try:
    height, width = ast.literal_eval(text or "")
    return int(height), int(width)
  except (ValueError, TypeError, SyntaxError):
    return _DEFAULT_SIZE


def _settle(options, form, network, size) -> _Settings:
  """Fills what the options leave open by the file and the form."""
  fit = options.fit or form.fit
  if fit == "none" and None not in network.image_input.size:
    if options.fit:
      raise ValueError(
        f"its input is {size[0]} x {size[1]} px; fit=none is for files that "
        "leave the size open"
      )
    fit = "corner"
  values = options.values or form.values
  if network.image_input.dtype == np.uint8:
    if options.values not in (None, "0-255"):
      raise ValueError(f"its input is of bytes; values={options.values} is not")
    values = "0-255"
  person_class = options.person_class
  if person_class is None:
    names = network.metadata.get("names")
    person_class = _find_person(names, form.person_class)
  min_score = MIN_SCORE if options.min_score is None else options.min_score
  order = options.order or form.order
  return _Settings(
    size, fit, order, values, person_class, min_score, options.nms
  )


def _find_person(text: str | None, default: int) -> int:
  """Returns the class of people by the names in the file, if there are any.

  Args:
    text: Ultralytics' "{0: 'person', 1: 'bicycle'}".
    default: without names.

  Raises:
    ValueError: several classes, none of them named person.
  """
  try:
    names = ast.literal_eval(text or "")
    by_index = names if isinstance(names, dict) else dict(enumerate(names))
  except (ValueError, TypeError, SyntaxError):
    return default
  people = [i for i, n in by_index.items() if str(n).lower() == "person"]
  if not people and len(by_index) == 1:
    return int(next(iter(by_index)))
  if not people:
    raise ValueError(
      f"none of its {len(by_index)} classes is named person: "
      f"{list(by_index.values())[:10]}; give person_class="
    )
  return int(people[0])
