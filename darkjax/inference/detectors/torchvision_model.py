"""Detection networks of torchvision, with the weights that it fetches."""

import numpy as np

from darkjax.inference.detectors.options import MIN_SCORE, Options
from darkjax.inference.detectors.people import Detections, select


class TorchvisionDetector:
  """A network of torchvision.models.detection with its default weights."""

  def __init__(self, name: str, options: Options):
    """Builds the network; torchvision fetches its weights once.

    Args:
      name: such as "fasterrcnn_resnet50_fpn_v2".
      options: `min_score` and `person_class` are used.

    Raises:
      ValueError: no such network, or its classes have no person.
      ImportError: PyTorch or torchvision is not installed.
    """
    self._arguments = name, options
    try:
      import torch  # of the user's choice
      import torchvision
    except ImportError as error:
      raise ImportError(
        f"detector torchvision:{name} needs PyTorch and torchvision, which are "
        "not installed; pip install torchvision"
      ) from error
    models = torchvision.models
    names = models.list_models(module=models.detection)
    if name not in names:
      raise ValueError(
        f"detector torchvision:NAME is one of {names}, got {name}"
      )
    weights = models.get_model_weights(name).DEFAULT
    self._person_class = options.person_class
    if self._person_class is None:
      self._person_class = weights.meta["categories"].index("person")
    self._min_score = (
      MIN_SCORE if options.min_score is None else options.min_score
    )
    self._torch = torch
    self._model = models.get_model(name, weights=weights).eval()

  def __reduce__(self):
    return TorchvisionDetector, self._arguments

  def __call__(self, image: np.ndarray) -> Detections:
    """Finds people, see `load_detector`."""
    torch = self._torch
    # A copy: the image may be read-only.
    pixels = np.array(image.transpose(2, 0, 1), np.float32) / 255
    with torch.inference_mode():
      (found,) = self._model([torch.from_numpy(pixels)])
    people = (found["labels"] == self._person_class).numpy()
    return select(
      found["boxes"].numpy()[people],
      found["scores"].numpy()[people],
      (image.shape[0], image.shape[1]),
      min_score=self._min_score,
    )
