"""The whole graph of a trained network, from crops to keypoints.

Everything is one function to compile: normalising, the flip test, the decoder
and the way back to crop or image pixels. Batch norms are folded once, when the
graph is made.
"""

import dataclasses
import os
from typing import Any

import jax
import jax.numpy as jnp
from jax import export as jax_export

from darkjax import checkpoint, geometry, inference, models
from darkjax.convention import Convention
from darkjax.models import batch_norm_folding


@dataclasses.dataclass(frozen=True)
class Graph:
  """A network, its weights and how its heatmaps are read.

  Attributes:
    model: a Linen module of darkjax.models.
    variables: its "params" and "batch_stats"; kept with batch norms folded,
      see models/batch_norm_folding.py.
    convention: the one the weights were trained with.
    method: decoder, one of `inference.METHODS`.
    border: of the dark decoder, see `decode_heatmaps`.
    flip_test: average with the mirrored crop, which costs twice the time.
    covariances: give three more columns for each keypoint, see `apply`.
  """

  model: Any
  variables: Any
  convention: Convention
  method: str = "dark"
  border: str = "refine"
  flip_test: bool = True
  covariances: bool = False

  def __post_init__(self):
    size = self.convention.crop_size
    folded = batch_norm_folding.fold(self.model, self.variables, crop_size=size)
    object.__setattr__(self, "variables", folded)

  @classmethod
  def from_checkpoint(
    cls, path: str | os.PathLike, *, step: int | None = None, **options: Any
  ) -> "Graph":
    """Reads a run, converted weights or a file of weights.

    Args:
      path: the folder, or the file of darkjax.release.
      step: which step of a folder; the latest by default.
      **options: method, border, flip_test, covariances.

    Raises:
      FileNotFoundError: no checkpoint there.
      ValueError: a file that holds no weights.
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
      See `apply`.
    """
    return self.apply(self.variables, images)

  def apply(self, variables: Any, images: jax.Array) -> jax.Array:
    """The same with the weights as an argument.

    Args:
      variables: those of the graph, maybe moved elsewhere.
      images: [B, H, W, 3] uint8 RGB.

    Returns:
      [B, K, 3] float32 (x, y, score), crop px; an integer is a pixel's centre.
      With `covariances` [B, K, 6], further the covariance matrix's entries xx,
      xy, yy in crop px², nan where the decoder gives none.
    """
    crop_from_heatmap = geometry.invert(self.convention.heatmap_from_crop())
    found = self.locate(
      variables,
      images,
      jnp.broadcast_to(
        jnp.asarray(crop_from_heatmap, jnp.float32)[None],
        (images.shape[0], 2, 3),
      ),
    )
    columns = [found.keypoints_image, found.scores[..., None]]
    if self.covariances:
      columns += [found.covariances[..., 0, :], found.covariances[..., 1, 1:]]
    return jnp.concatenate(columns, axis=-1)

  def locate(
    self, variables: Any, images: jax.Array, image_from_heatmap: jax.Array
  ) -> inference.Keypoints:
    """Finds keypoints in the images that the crops were cut from.

    Args:
      variables: those of the graph, maybe moved elsewhere.
      images: [B, H, W, 3] uint8 RGB crops.
      image_from_heatmap: [B, 2, 3], px, made with the crops.

    Returns:
      Keypoints in image pixels.

    Raises:
      ValueError: see `heatmaps`.
    """
    return self.read(self.heatmaps(variables, images), image_from_heatmap)

  def heatmaps(self, variables: Any, images: jax.Array) -> jax.Array:
    """Runs the network and the flip test.

    Args:
      variables: those of the graph, maybe moved elsewhere.
      images: [B, H, W, 3] uint8 RGB crops.

    Returns:
      [B, H', W', K] float32, see `inference.predict_heatmaps`.

    Raises:
      ValueError: the network's heatmaps are not those of the convention.
    """
    heatmaps = inference.predict_heatmaps(
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

  def read(
    self, heatmaps: jax.Array, image_from_heatmap: jax.Array
  ) -> inference.Keypoints:
    """Decodes heatmaps and goes back to the image.

    Args:
      heatmaps: [B, H', W', K], from `heatmaps`.
      image_from_heatmap: [B, 2, 3], px, made with the crops.

    Returns:
      Keypoints in image pixels.
    """
    return inference.locate(
      heatmaps,
      image_from_heatmap,
      convention=self.convention,
      method=self.method,
      border=self.border,
    )
