"""Losses on heatmaps, unreduced; mask and mean stand at the call."""

import jax
import jax.numpy as jnp


def heatmap_mse(
  predicted: jax.Array, target: jax.Array, weights: jax.Array
) -> jax.Array:
  """Half the mean squared error of each keypoint's heatmap.

  The weights multiply prediction and target before the difference is squared,
  as in the authors' JointsMSELoss, so they act squared; an unlabelled keypoint
  (weight 0) adds a zero, and stays in the mean that the caller takes.

  Args:
    predicted: [..., H, W, K] heatmaps.
    target: [..., H, W, K] heatmaps.
    weights: [..., K], 0 for keypoints without a label.

  Returns:
    [..., K] float32.

  Reference:
    DarkPose and HRNet, lib/core/loss.py.
  """
  if predicted.shape != target.shape:
    raise ValueError(
      f"predicted and target heatmaps must have one shape, got "
      f"{predicted.shape} and {target.shape}"
    )
  error = predicted.astype(jnp.float32) - target.astype(jnp.float32)
  return 0.5 * jnp.mean(error**2, (-3, -2)) * weights**2


def hardest_keypoints(losses: jax.Array, *, count: int) -> jax.Array:
  """Mean over each person's `count` worst keypoints (OHKM).

  Args:
    losses: [..., K], one per keypoint.
    count: how many to keep, 1..K; the authors' configurations name 8.

  Returns:
    [...] float32.

  Reference:
    Chen et al., arXiv 1711.07319, section 3.3; HRNet, lib/core/loss.py.
  """
  if not 1 <= count <= losses.shape[-1]:
    raise ValueError(
      f"count must lie in 1..K with K={losses.shape[-1]}, got {count}"
    )
  return jax.lax.top_k(losses, count)[0].mean(-1)
