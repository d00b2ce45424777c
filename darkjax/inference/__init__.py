"""From crops to keypoints in the image: one pure function on the device.

Normalising, the flip test, decoding and the way back to image pixels happen
inside one jitted call; the host sends uint8 crops and receives keypoints.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from darkjax import convention as convention_lib
from darkjax import geometry
from darkjax.heatmaps import decode, soft_argmax

METHODS = convention_lib.METHODS


class Keypoints(NamedTuple):
  """What was found in B crops.

  Attributes:
    keypoints_image: [B, K, 2] (x, y), image px.
    scores: [B, K], near 1 where the network is sure and not a probability. The
      maximum of each heatmap; for a softmax head the similarity to expect of
      the keypoint, in [0, 1], see heatmaps/integral.py.
    covariances: [B, K, 2, 2], image px²; nan where the decoder gives none.
  """

  keypoints_image: jax.Array
  scores: jax.Array
  covariances: jax.Array


def normalize(images: jax.Array, *, channel_order: str = "rgb") -> jax.Array:
  """Pixels as the network wants them.

  Args:
    images: [..., 3] uint8 RGB.
    channel_order: "rgb", or "bgr" for weights of the official ResNet and
      Hourglass runs, which applied the RGB statistics to BGR pixels.

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
  """Heatmaps of a mirrored crop, brought back over those of the crop.

  Under the hrnet alignment mirrored heatmaps come back 3/4 px too far left, as
  column x of the heatmap is column 4x of the crop and the mirror maps 4x to
  W − 1 − 4x. A shift of 1 px moves them right (the first column is kept), which
  leaves 1/4. Under dark and udp the frames mirror exactly: shift 0.

  Args:
    heatmaps: [..., H, W, K].
    flip_indices: K indices, see `Skeleton.flip_indices`.
    shift: 0 or 1, heatmap px.

  Returns:
    [..., H, W, K].

  Reference:
    HRNet, lib/core/function.py (SHIFT_HEATMAP).
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
  convention: convention_lib.Convention,
  flip_test: bool,
) -> jax.Array:
  """Runs the network, on the crops and with `flip_test` on their mirrors too.

  A softmax head's logits become probabilities before they are averaged, so
  that the flip test averages distributions: the mean keypoint of "integral" is
  the average of the two. A flip shift moves a column of mass out of the map,
  which reading the map makes good.

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


def last_stage(outputs: jax.Array | Sequence[jax.Array]) -> jax.Array:
  """The prediction among a network's supervised heatmaps: the last."""
  return outputs[-1] if isinstance(outputs, list | tuple) else outputs


def locate(
  heatmaps: jax.Array,
  image_from_heatmap: jax.Array,
  *,
  convention: convention_lib.Convention,
  method: str = "dark",
  border: str = "refine",
  standard: str = "sign",
) -> Keypoints:
  """Decodes heatmaps and maps what was found into the image.

  Args:
    heatmaps: [B, H', W', K], from `predict_heatmaps`.
    image_from_heatmap: [B, 2, 3], px, made with the crops.
    convention: the one the weights were trained with.
    method: one of `METHODS`: "integral", the mean of a softmax head's
      probabilities, or a decoder of `decode_heatmaps`, which reads those too.
    border: see `decode_heatmaps`.
    standard: likewise.

  Returns:
    Keypoints in image pixels.

  Raises:
    ValueError: an unknown method, or "integral" for a head that is no softmax.
  """
  options = {"border": border, "standard": standard}
  decoded = _decode(heatmaps, convention, method, options)
  return Keypoints(
    geometry.apply_affine(image_from_heatmap, decoded.keypoints),
    decoded.scores,
    geometry.apply_linear(image_from_heatmap, decoded.covariances),
  )


def _decode(heatmaps, convention, method, options) -> decode.Decoded:
  """Keypoints in heatmap px, and scores that suit the head."""
  if method not in METHODS:
    raise ValueError(f"method is one of {list(METHODS)}, got {method!r}")
  radius = soft_argmax.RADIUS_SIGMAS * convention.sigma
  if method == "integral":
    if convention.head != "softmax":
      raise ValueError(
        "method 'integral' reads the probabilities of a softmax head, this "
        f"model has a {convention.head!r} head; use one of {decode.METHODS}"
      )
    return soft_argmax.integrate_heatmaps(heatmaps, radius=radius)
  decoded = decode.decode_heatmaps(
    heatmaps, method=method, blur_kernel=convention.blur_kernel, **options
  )
  if convention.head == "gaussian":
    return decoded
  scores = soft_argmax.expected_similarity(
    heatmaps, decoded.keypoints, radius=radius
  )
  return decoded._replace(scores=scores)
