"""Pure functions, to be jitted, from uint8 crops to keypoints in the image."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from darkjax import convention as convention_lib
from darkjax import geometry
from darkjax.convention import METHODS, Convention, Method
from darkjax.heatmaps import decode, options, soft_argmax


class Keypoints(NamedTuple):
  """Keypoints of B crops.

  Scores are no probabilities but each heatmap's maximum or, for a softmax head,
  the expected similarity, see heatmaps/soft_argmax.py.
  """

  keypoints_image: jax.Array | np.ndarray  # [B, K, 2] (x, y), image px
  scores: jax.Array | np.ndarray  # [B, K]
  covariances: jax.Array | np.ndarray  # [B, K, 2, 2] image px²; nan for none
  # [B, H', W', K] that they were decoded from, where they are asked for.
  heatmaps: jax.Array | np.ndarray | None = None


def normalize(images: jax.Array, *, channel_order: str = "rgb") -> jax.Array:
  """Normalizes pixels by the statistics of ImageNet.

  Args:
    images: [..., 3] uint8 RGB.
    channel_order: "rgb", or "bgr" for weights that were trained on BGR pixels
      with the RGB statistics (the official ResNet and Hourglass).

  Returns:
    [..., 3] float32, (pixel/255 − mean)/std.
  """
  if channel_order == "bgr":
    images = images[..., ::-1]
  mean = jnp.asarray(convention_lib.PIXEL_MEAN, jnp.float32)
  std = jnp.asarray(convention_lib.PIXEL_STD, jnp.float32)
  scaled = images.astype(jnp.float32) / 255.0
  lead = (1,) * (images.ndim - 1)
  return (scaled - mean.reshape(*lead, 3)) / std.reshape(*lead, 3)


def unflip_heatmaps(
  heatmaps: jax.Array, *, flip_indices: Sequence[int], shift: int
) -> jax.Array:
  """Mirrors the heatmaps of a mirrored crop back onto those of the crop.

  Under the hrnet alignment mirrored heatmaps come back 3/4 px too far left, as
  column x of the heatmap is column 4x of the crop and the mirror maps 4x to
  W − 1 − 4x. A shift of 1 px moves them right (the first column is kept), which
  leaves 1/4. Under dark and udp the crops mirror exactly: shift 0.

  Args:
    heatmaps: [..., H, W, K].
    flip_indices: K indices, see `Skeleton.flip_indices`.
    shift: 0 or 1, heatmap px.

  Reference: HRNet, lib/core/function.py (SHIFT_HEATMAP).
  """
  heatmaps = heatmaps[..., ::-1, :][..., np.asarray(flip_indices)]
  if shift == 0:
    return heatmaps
  return jnp.concatenate([heatmaps[..., :1, :], heatmaps[..., :-1, :]], -2)


def predict_heatmaps(
  model: Any,
  variables: Any,
  images: jax.Array,
  *,
  convention: Convention,
  flip_test: bool,
) -> jax.Array:
  """Runs a network on crops and, with `flip_test`, on their mirror images.

  A softmax head's logits become probabilities before they are averaged.

  Args:
    model: a Linen module of darkjax.models.
    variables: its "params" and "batch_stats".
    images: [B, H, W, 3] uint8 RGB crops.
    convention: the one the weights were trained with.
    flip_test: average with the mirrored crop's heatmaps.

  Returns:
    [B, H', W', K] float32 heatmaps of the last supervised stage; probabilities
    with sum 1 per map for a softmax head.
  """
  pixels = normalize(images, channel_order=convention.channel_order)
  if flip_test:
    pixels = jnp.concatenate([pixels, pixels[:, :, ::-1]])
  heatmaps = last_stage(model.apply(variables, pixels, train=False))
  if convention.head == "softmax":
    heatmaps = soft_argmax.softmax_heatmaps(heatmaps)
  if not flip_test:
    return heatmaps
  straight, mirrored = heatmaps.reshape(2, -1, *heatmaps.shape[1:])
  mirrored = unflip_heatmaps(
    mirrored,
    flip_indices=convention.skeleton.flip_indices,
    shift=convention.flip_shift,
  )
  return (straight + mirrored) / 2.0


def last_stage(
  outputs: jax.Array | tuple[jax.Array, ...] | list[jax.Array],
) -> jax.Array:
  """Returns the heatmaps of the last supervised stage: the prediction."""
  return outputs[-1] if isinstance(outputs, list | tuple) else outputs


def check_method(method: str, convention: Convention) -> None:
  """Checks that a decoder can read the maps of a network.

  Raises:
    ValueError: an unknown method, or "integral" for a head without softmax.
  """
  if method not in METHODS:
    raise ValueError(f"method is one of {list(METHODS)}, got {method!r}")
  if method == "integral" and convention.head != "softmax":
    raise ValueError(
      "method 'integral' reads the probabilities of a softmax head, this "
      f"model has a {convention.head!r} head; use one of {options.METHODS}"
    )


def locate(
  heatmaps: jax.Array,
  image_from_heatmap: jax.Array,
  *,
  convention: Convention,
  method: Method | None = None,
  border: options.Border = "refine",
  standard: options.Standard = "sign",
) -> Keypoints:
  """Decodes heatmaps and maps the keypoints into the image.

  Args:
    heatmaps: [B, H', W', K], from `predict_heatmaps`.
    image_from_heatmap: [B, 2, 3], px, made with the crops.
    convention: the one the weights were trained with.
    method: one of `METHODS`: "integral", the mean of a softmax head's
      probabilities, or a decoder of `decode_heatmaps`, which reads those too;
      by default `Convention.default_method`.
    border: see `decode_heatmaps`.
    standard: see `decode_heatmaps`.

  Raises:
    ValueError: see `check_method`.
  """
  method = method or convention.default_method
  check_method(method, convention)
  radius = soft_argmax.RADIUS_SIGMAS * convention.sigma
  if method == "integral":
    decoded = soft_argmax.integrate_heatmaps(heatmaps, radius=radius)
  else:
    decoded = decode.decode_heatmaps(
      heatmaps,
      method=method,
      blur_kernel=convention.blur_kernel,
      border=border,
      standard=standard,
    )
  scores = decoded.scores
  if method != "integral" and convention.head == "softmax":
    scores = soft_argmax.expected_similarity(
      heatmaps, decoded.keypoints, radius=radius
    )
  return Keypoints(
    geometry.apply_affine(image_from_heatmap, decoded.keypoints),
    scores,
    geometry.apply_linear(image_from_heatmap, decoded.covariances),
  )
