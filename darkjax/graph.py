"""The whole graph of a trained network: from crops to keypoints in them."""

import dataclasses
import os
from typing import Any

import jax
import jax.numpy as jnp
from jax import export as jax_export

from darkjax import checkpoint, geometry, inference, models
from darkjax.convention import Convention


@dataclasses.dataclass(frozen=True)
class Graph:
  """A network, its weights and how its heatmaps are read.

  Attributes:
    model: a Linen module of darkjax.models.
    variables: its "params" and "batch_stats".
    convention: the one the weights were trained with.
    method: decoder, one of `inference.METHODS`.
    border: of the dark decoder, see `decode_heatmaps`.
    flip_test: average with the mirrored crop, which costs twice the time.
  """

  model: Any
  variables: Any
  convention: Convention
  method: str = "dark"
  border: str = "refine"
  flip_test: bool = True

  @classmethod
  def from_checkpoint(
    cls, path: str | os.PathLike, *, step: int | None = None, **options: Any
  ) -> "Graph":
    """Reads the folder of a run or of converted weights.

    Args:
      path: the folder.
      step: which step of it; the latest by default.
      **options: method, border, flip_test.

    Raises:
      FileNotFoundError: no checkpoint there.
    """
    variables, metadata = checkpoint.load(path, step=step)
    model = models.create_model(**metadata.model)
    return cls(model, variables, metadata.convention, **options)

  @property
  def images(self) -> jax.ShapeDtypeStruct:
    """The input: uint8 [b, H, W, 3], b symbolic."""
    (count,) = jax_export.symbolic_shape("b")
    return jax.ShapeDtypeStruct(
      (count, *self.convention.crop_size, 3), jnp.uint8
    )

  def __call__(self, images: jax.Array) -> jax.Array:
    """Finds keypoints in crops.

    Args:
      images: [B, H, W, 3] uint8 RGB.

    Returns:
      [B, K, 3] float32 (x, y, score), crop px; an integer is a pixel's centre.
    """
    return self.apply(self.variables, images)

  def apply(self, variables: Any, images: jax.Array) -> jax.Array:
    """The same with the weights as an argument."""
    heatmaps = inference.predict_heatmaps(
      self.model,
      variables,
      images,
      convention=self.convention,
      flip_test=self.flip_test,
    )
    crop_from_heatmap = geometry.invert(self.convention.heatmap_from_crop())
    found = inference.locate(
      heatmaps,
      jnp.broadcast_to(
        jnp.asarray(crop_from_heatmap, jnp.float32)[None],
        (images.shape[0], 2, 3),
      ),
      convention=self.convention,
      method=self.method,
      border=self.border,
    )
    return jnp.concatenate(
      [found.keypoints_image, found.scores[..., None]], axis=-1
    )
