"""`load_detector`: a detector of people from anything that finds boxes.

    detector = load_detector("yolox_s.onnx")
    boxes, scores = detector(image)  # [H, W, 3] uint8 RGB

Detectors are files of ONNX, networks of torchvision, and any callable.
"""

import os
from typing import Any

from darkjax.inference.detectors import options as options_lib
from darkjax.inference.detectors.any_callable import CallableDetector
from darkjax.inference.detectors.onnx_file import OnnxDetector
from darkjax.inference.detectors.options import Options
from darkjax.inference.detectors.people import Detector
from darkjax.inference.detectors.torchvision_model import TorchvisionDetector
from darkjax.runtime import command

_TORCHVISION = "torchvision:"
_LOADED = (CallableDetector, OnnxDetector, TorchvisionDetector)


def define_flags(define: command.Define) -> None:
  """Adds the flags that `from_flags` takes."""
  define.string(
    "detector",
    None,
    "Finds the people: an .onnx file or torchvision:NAME, perhaps with "
    "?option=value&...; default: every picture is one person's box.",
  )
  define.float("min_box_score", None, "Lowest score of a box; default: 0.3.")


def from_flags(
  specification: str | None, min_box_score: float | None
) -> Detector | None:
  """Loads the detector of a command, None where it has none.

  Raises:
    ValueError: a score without a detector; and see `load_detector`.
  """
  if not specification:
    if min_box_score is not None:
      raise ValueError(
        f"--min_box_score={min_box_score:g} is of boxes, and without a "
        "detector there are none; add --detector"
      )
    return None
  options = {} if min_box_score is None else {"min_score": min_box_score}
  return load_detector(specification, **options)


def load_detector(specification: Any, **options: Any) -> Detector:
  """Loads a detector of people.

  Args:
    specification: a path of an .onnx file, in one of the forms that `forms`
      lists; or "torchvision:NAME", whose weights torchvision fetches; either
      may end in options, as "yolo.onnx?size=640&order=bgr". Or a callable that
      takes an image [H, W, 3] uint8 RGB and returns boxes [N, 4] (x, y, w, h),
      a tuple of boxes and scores [N], or a `supervision.Detections`.
    **options: see `Options`; they go before those of the specification. Of a
      callable `min_score` and `person_class` are used.

  Returns:
    A function from an image [H, W, 3] uint8 RGB to `Detections`: boxes [N, 4]
    float64 (x, y, w, h), image px, inside the image, and scores [N], best
    first. It can be called by several threads and pickled, if a callable can;
    a file is then read again where it is unpickled.

  Raises:
    FileNotFoundError: no such file.
    ValueError: a network whose outputs are of no known form, an unknown option,
      or something else than a file, a name or a callable.
    ImportError: onnxruntime or torchvision is missing.
  """
  if isinstance(specification, _LOADED) and not options:
    return specification
  if isinstance(specification, str | os.PathLike):
    name, own = options_lib.split(os.fspath(specification))
    used = Options.read(own | options)
    if name.startswith(_TORCHVISION):
      return TorchvisionDetector(name.removeprefix(_TORCHVISION), used)
    return OnnxDetector(name, used)
  if not callable(specification):
    raise ValueError(
      "a detector is the path of an .onnx file, torchvision:NAME or a function "
      f"of an image, got {type(specification).__name__}"
    )
  return CallableDetector(specification, Options.read(options))
