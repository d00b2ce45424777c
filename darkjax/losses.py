"""Losses of heatmaps and of keypoints, one per keypoint, not averaged.

Coordinates are heatmap pixels (x, y); an integer coordinate is the centre of a
pixel.
"""

import jax
import jax.numpy as jnp

from darkjax.heatmaps import encode, soft_argmax


def heatmap_mse(
  predicted: jax.Array, target: jax.Array, weights: jax.Array
) -> jax.Array:
  """Returns half the mean squared error of each keypoint's heatmap.

  The weights multiply prediction and target before the difference is squared,
  as in the authors' JointsMSELoss, so they act squared; an unlabelled keypoint
  (weight 0) adds a zero, and stays in the mean that the caller takes.

  Args:
    predicted: [..., H, W, K] heatmaps.
    target: [..., H, W, K] heatmaps.
    weights: [..., K], 0 for keypoints without a label.

  Returns:
    [..., K] float32; float64 for predictions in float64.

  Raises:
    ValueError: predicted and target differ in shape.

  Reference: DarkPose and HRNet, lib/core/loss.py.
  """
  if predicted.shape != target.shape:
    raise ValueError(
      f"predicted and target heatmaps must have one shape, got "
      f"{predicted.shape} and {target.shape}"
    )
  dtype = jnp.float64 if predicted.dtype == jnp.float64 else jnp.float32
  error = predicted.astype(dtype) - target.astype(dtype)
  return 0.5 * jnp.mean(error**2, (-3, -2)) * weights.astype(dtype) ** 2


def hardest_keypoints(losses: jax.Array, *, count: int) -> jax.Array:
  """Returns the mean over each person's `count` worst keypoints (OHKM).

  Args:
    losses: [..., K], one per keypoint.
    count: how many to keep, 1..K, else ValueError; the authors use 8.

  Returns:
    [...] float32.

  Reference: arXiv:1711.07319, section 3.3; HRNet, lib/core/loss.py.
  """
  if not 1 <= count <= losses.shape[-1]:
    raise ValueError(f"count is in 1..K with K={losses.shape[-1]}, got {count}")
  return jax.lax.top_k(losses, count)[0].mean(-1)


def ipr_loss(
  logits: jax.Array, keypoints: jax.Array, weights: jax.Array
) -> jax.Array:
  """Returns |x − x'| + |y − y'| of the soft-argmax: integral pose regression.

  Args:
    logits: [..., H, W, K]; a softmax over each map is taken here.
    keypoints: [..., K, 2] true (x, y), heatmap px; ignored, also NaN, where the
      weight is 0.
    weights: [..., K], 0 for keypoints without a label.

  Returns:
    [..., K] float32, heatmap px.

  Raises:
    ValueError: the shapes of logits, keypoints and weights do not match.

  Reference: arXiv:1711.08229, section 2.2 (integral regression with L1).
  """
  keypoints = _labelled(logits, keypoints, weights)
  offset = soft_argmax.soft_argmax(logits).keypoints - keypoints
  return jnp.abs(offset).sum(-1) * weights


def dsnt_loss(
  logits: jax.Array,
  keypoints: jax.Array,
  weights: jax.Array,
  *,
  sigma: float,
  regularization: float = 1.0,
) -> jax.Array:
  """Returns distance of the soft-argmax and divergence from a Gaussian: DSNT.

  The distance is Euclidean in coordinates that run from −1 to 1 between the
  map's outer edges, (2x + 1)/W − 1 and (2y + 1)/H − 1. The Jensen-Shannon
  divergence is to a Gaussian at the keypoint, with sum 1 over the map.

  Args:
    logits: as for `ipr_loss`, and finite.
    keypoints: as for `ipr_loss`.
    weights: as for `ipr_loss`.
    sigma: standard deviation of the Gaussian, heatmap px.
    regularization: λ, factor on the divergence; the paper uses 1.

  Returns:
    [..., K] float32.

  Raises:
    ValueError: the shapes of logits, keypoints and weights do not match.

  Reference: arXiv:1801.07372, section 3 (loss, Jensen-Shannon form).
  """
  keypoints = _labelled(logits, keypoints, weights)
  height, width = logits.shape[-3:-1]
  offset = soft_argmax.soft_argmax(logits).keypoints - keypoints
  x, y = offset[..., 0] * (2.0 / width), offset[..., 1] * (2.0 / height)
  log_p = jax.nn.log_softmax(logits.astype(jnp.float32), axis=(-3, -2))
  log_q = _log_gaussian(keypoints, (height, width), sigma)
  divergence = _jensen_shannon(log_p, log_q)
  return (_length(x, y) + regularization * divergence) * weights


def _labelled(logits, keypoints, weights) -> jax.Array:
  """The keypoints, with zeros where the weight is 0."""
  lead = (*logits.shape[:-3], logits.shape[-1])
  if (*lead, 2) != keypoints.shape or lead != weights.shape:
    raise ValueError(
      "logits [..., H, W, K] go with keypoints [..., K, 2] and weights "
      f"[..., K], got {logits.shape}, {keypoints.shape} and {weights.shape}"
    )
  keypoints = keypoints.astype(jnp.float32)
  return jnp.where(weights[..., None] == 0, 0.0, keypoints)


def _length(x, y):
  """Euclidean length with gradient 0 at 0."""
  square = x**2 + y**2
  is_zero = square == 0
  return jnp.where(is_zero, 0.0, jnp.sqrt(jnp.where(is_zero, 1.0, square)))


def _log_gaussian(keypoints, size, sigma):
  """[..., H, W, K] log of Gaussians with sum 1; finite for far keypoints."""
  x, y = keypoints[..., None, :, 0], keypoints[..., None, :, 1]
  row, column = (
    jax.nn.log_softmax(encode.log_profile(center, length, sigma), axis=-2)
    for center, length in zip((y, x), size, strict=True)
  )
  return row[..., :, None, :] + column[..., None, :, :]


def _jensen_shannon(log_p, log_q):
  """[..., K] divergence, in nats, of distributions [..., H, W, K] in log."""
  log_m = jnp.logaddexp(log_p, log_q) - jnp.log(2.0)
  from_p = (jnp.exp(log_p) * (log_p - log_m)).sum((-3, -2))
  from_q = (jnp.exp(log_q) * (log_q - log_m)).sum((-3, -2))
  return 0.5 * (from_p + from_q)
