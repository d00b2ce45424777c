"""`Predictor`: a network with its weights, convention and decoder."""

import dataclasses
import logging
import pathlib
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import export as jax_export

from darkjax import checkpoint, geometry, models
from darkjax.convention import Convention, Method
from darkjax.heatmaps.options import BORDERS, Border
from darkjax.inference import keypoints as keypoints_lib
from darkjax.inference.keypoints import Keypoints
from darkjax.metrics.calibration import Calibration
from darkjax.models import batch_norm_folding

_LOG = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Predictor:
  """A network, its weights and how its heatmaps become keypoints.

  Methods are pure functions to compile. Predictors that differ in weights alone
  are equal and have the same hash.

  Attributes:
    model: a Linen module of darkjax.models.
    variables: its "params" and "batch_stats"; kept with batch norms folded.
    convention: the one the weights were trained with.
    method: one of `convention.METHODS`; by default what suits the head.
    border: DARK: how to treat the map's border, see `decode_heatmaps`.
    flip_test: average with the mirrored crop, which doubles the time.
    covariances: add three columns for each keypoint, see `apply`.
    config: configuration of the training run, {} where there was none.
    calibration: of the weights; None where it is of another decoder or flip
      test than these.

  Raises:
    ValueError: an unknown method or border, or "integral" for a head without
      softmax.
  """

  model: Any
  variables: Any = dataclasses.field(compare=False)
  convention: Convention
  method: Method | None = None
  border: Border = "refine"
  flip_test: bool = True
  covariances: bool = False
  config: Mapping[str, Any] = dataclasses.field(
    default_factory=dict, compare=False
  )
  calibration: Calibration | None = dataclasses.field(
    default=None, compare=False
  )

  def __post_init__(self):
    method = self.method or self.convention.default_method
    keypoints_lib.check_method(method, self.convention)
    if self.border not in BORDERS:
      raise ValueError(f"border is one of {BORDERS}, got {self.border!r}")
    size = self.convention.crop_size
    folded = batch_norm_folding.fold(self.model, self.variables, crop_size=size)
    object.__setattr__(self, "method", method)
    object.__setattr__(self, "variables", folded)
    fitted = self.calibration
    if fitted and (fitted.method, fitted.flip_test) != (method, self.flip_test):
      object.__setattr__(self, "calibration", None)

  @classmethod
  def from_checkpoint(
    cls, path: str | pathlib.Path, step: int | None = None, **options: Any
  ) -> "Predictor":
    """Reads a run, converted weights or a file of weights.

    Args:
      path: the folder of a run or of a release, or a file of weights.
      step: a step of the folder; the latest by default.
      **options: method, border, flip_test, covariances.

    Raises:
      FileNotFoundError: no checkpoint there.
      ValueError: a file that holds no weights, or see `Predictor`.
    """
    variables, metadata = checkpoint.load(path, step=step)
    model = models.create_model(**metadata.model)
    fitted = metadata.calibration
    predictor = cls(
      model,
      variables,
      metadata.convention,
      config=metadata.config,
      calibration=fitted,
      **options,
    )
    if fitted and not predictor.calibration:
      _LOG.warning(
        "%s: its calibration is of method=%s flip_test=%s and is not used",
        path, fitted.method, fitted.flip_test,
      )  # fmt: skip
    return predictor

  @property
  def input_spec(self) -> jax.ShapeDtypeStruct:
    """Crops as an input: uint8 [b, H, W, 3], b symbolic."""
    (count,) = jax_export.symbolic_shape("b")
    return jax.ShapeDtypeStruct(
      (count, *self.convention.crop_size, 3), jnp.uint8
    )

  def __call__(self, images: jax.Array) -> jax.Array:
    """Calls `apply` with the predictor's own variables."""
    return self.apply(self.variables, images)

  def apply(self, variables: Any, images: jax.Array) -> jax.Array:
    """Computes keypoints in crop pixels.

    Args:
      variables: those of the predictor, e.g. on a device.
      images: [B, H, W, 3] uint8 RGB crops.

    Returns:
      [B, K, 3] float32 (x, y, score), crop px. With `covariances` [B, K, 6],
      further xx, xy, yy in crop px², nan where the decoder gives none.
    """
    crop_from_heatmap = geometry.invert(self.convention.heatmap_from_crop())
    matrices = jnp.broadcast_to(
      crop_from_heatmap.astype(np.float32)[None], (images.shape[0], 2, 3)
    )
    keypoints = self.locate(variables, images, matrices)
    columns = [keypoints.keypoints_image, keypoints.scores[..., None]]
    if self.covariances:
      covariances = keypoints.covariances
      columns += [covariances[..., 0, :], covariances[..., 1, 1:]]
    return jnp.concatenate(columns, axis=-1)

  def locate(
    self,
    variables: Any,
    images: jax.Array,
    image_from_heatmap: jax.Array,
    *,
    return_heatmaps: bool = False,
  ) -> Keypoints:
    """Computes keypoints in the images that the crops of `apply` are cut from.

    The matrices [B, 2, 3] are those of the crops, px.
    """
    heatmaps = self.heatmaps(variables, images)
    keypoints = self.decode(heatmaps, image_from_heatmap)
    return keypoints._replace(heatmaps=heatmaps if return_heatmaps else None)

  def heatmaps(self, variables: Any, images: jax.Array) -> jax.Array:
    """Computes heatmaps [B, H', W', K], see `inference.predict_heatmaps`.

    Raises:
      ValueError: the network's heatmaps are not those of the convention.
    """
    heatmaps = keypoints_lib.predict_heatmaps(
      self.model,
      variables,
      images,
      convention=self.convention,
      flip_test=self.flip_test,
    )
    skeleton = self.convention.skeleton
    expected = (*self.convention.heatmap_size, skeleton.num_keypoints)
    if heatmaps.shape[1:] != expected:
      raise ValueError(
        f"the convention expects heatmaps [H, W, K] of {expected}, the model "
        f"gives {heatmaps.shape[1:]}; they do not belong together"
      )
    return heatmaps

  def decode(
    self, heatmaps: jax.Array, image_from_heatmap: jax.Array
  ) -> Keypoints:
    """Decodes [B, H', W', K] from `heatmaps`, see `inference.locate`."""
    return keypoints_lib.locate(
      heatmaps,
      image_from_heatmap,
      convention=self.convention,
      method=self.method,
      border=self.border,
    )
