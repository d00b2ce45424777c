"""From heatmaps to keypoints (paper §3.1): argmax, standard shift, DARK.

Coordinates are heatmap pixels (x, y), float32; an integer coordinate is the
centre of a pixel. `render_heatmaps` is the inverse.
"""

import math
from functools import partial
from typing import NamedTuple, get_args

import jax
import jax.numpy as jnp

from darkjax.heatmaps import arguments
from darkjax.heatmaps.blur import blur_kernel_for_sigma
from darkjax.heatmaps.dark import refine_maximum
from darkjax.heatmaps.dark_official import decode_official
from darkjax.heatmaps.maximum import first_maximum, second_maximum
from darkjax.heatmaps.options import BORDERS, METHODS, Border, Method, Standard

DEFAULT_BLUR_KERNEL = 3  # of four published networks: docs/decode_any_model.md
QUARTER = 0.25  # pixels the standard method shifts by


class Decoded(NamedTuple):
  """Keypoints read from heatmaps.

  Attributes:
    keypoints: [..., K, 2] float32 (x, y) in heatmap pixels.
    scores: [..., K] float32, the raw maximum of each map.
    covariances: [..., K, 2, 2] float32 px^2, nan where the method has none.
  """

  keypoints: jax.Array
  scores: jax.Array
  covariances: jax.Array


def decode_heatmaps(
  heatmaps: jax.Array,
  *,
  method: Method = "dark",
  blur_kernel: int | None = None,
  sigma: float | None = None,
  border: Border = "refine",
  standard: Standard = "sign",
) -> Decoded:
  """Reads one keypoint from each map.

  "argmax" is the first maximum in row-major order, "standard" shifts it by a
  quarter pixel, "dark" blurs the map (modulation) and takes one Taylor step of
  its logarithm to the peak.

  For finite input the keypoints are finite and inside the map,
  [0, W - 1] x [0, H - 1]. With border="refine" they are at most 1.5 px from
  the maximum, and a map whose maximum is below 1e-30 gives the maximum itself.
  A map that holds NaN gives score NaN and some finite point of the map.

  The maximum's place is constant for differentiation, the Taylor step is not;
  every gradient is finite.

  Deviations: Eq. 11 scales the blurred map to the raw map's range; after the
  logarithm that adds a constant, so it is left out, except with
  border="official", whose clip at 1e-10 makes it matter.

  Args:
    heatmaps: [..., H, W, K] float32, bfloat16 or float16; computed in float32.
    method: "argmax", "standard" or "dark".
    blur_kernel: for "dark", the odd size k of OpenCV's Gaussian kernel, from 1
      (no modulation) to 2 max(H, W) + 1. If None, it follows from sigma, and
      is 3 without one: what suits published networks best. The authors use 11
      on maps above 32 x 24, and so do their weights' conventions.
    sigma: of the Gaussians the model was trained on, or of its peaks, see
      `estimate_sigma`; px, read only if blur_kernel is None. 1 and 2 give
      k = 3, 3 gives 5, 5 gives 9, see `blur.blur_kernel_for_sigma`. A derived
      size is cut to the allowed maximum.
    border: for "dark", "refine" refines every cell of maps of at least 3 x 3
      (heatmaps/dark.py), "official" is the authors' code: nothing in a band of
      2 px, and steps up to the map's border (heatmaps/dark_official.py).
    standard: "sign" shifts x and y by 0.25 px each, to the larger neighbour,
      for 2 <= x <= W - 2 and 2 <= y <= H - 2, as the baseline code does; "eq1"
      shifts by 0.25 px towards the second maximum, as the paper prints it.

  Returns:
    Decoded. The covariance is the negative inverse Hessian of the log of the
    blurred map. For a Gaussian of variance s^2 that is s^2 plus the kernel's
    `blur_variance`, or up to 6 % more, as the kernel's cut tails count less at
    the top; nan where the blurred map has no peak (which jax_debug_nans takes
    for an error).

  Raises:
    ValueError: a rank below 3, too small a map, an unknown choice, or a
      blur_kernel or sigma out of range or traced by JAX.

  Example:
    >>> heatmaps = jnp.zeros((5, 6, 1)).at[2, 3, 0].set(1.0)
    >>> decode_heatmaps(heatmaps, method="argmax").keypoints
    Array([[3., 2.]], dtype=float32)

  Reference: arXiv:1910.06278, Eq. 1 (standard), Eq. 3 to 11 (dark). Sign form:
  leoxiaobin/deep-high-resolution-net.pytorch, lib/core/inference.py.
  """
  heatmaps = jnp.asarray(heatmaps)
  arguments.check_choice("method", method, METHODS)
  arguments.check_choice("border", border, BORDERS)
  arguments.check_choice("standard", standard, get_args(Standard))
  smallest = 3 if method == "dark" else 1
  arguments.check_heatmaps(heatmaps.shape, smallest=smallest)
  blur_kernel = _resolve_kernel(blur_kernel, sigma, heatmaps.shape[-3:-1])
  return _decode(heatmaps, method, blur_kernel, border, standard)


@partial(jax.jit, static_argnums=(1, 2, 3, 4))
def _decode(heatmaps, method, blur_kernel, border, standard):
  *leading, height, width, num_keypoints = heatmaps.shape
  maps = heatmaps.reshape(math.prod(leading), height, width, num_keypoints)
  if not jnp.issubdtype(maps.dtype, jnp.floating):
    maps = maps.astype(jnp.float32)
  if method == "dark" and border == "official":
    parts = decode_official(maps, blur_kernel=blur_kernel)
  else:
    decode_one = {
      "argmax": _shifted,
      "standard": partial(_shifted, shift=_SHIFTS[standard]),
      "dark": partial(refine_maximum, blur_kernel=blur_kernel),
    }[method]
    parts = jax.vmap(jax.vmap(decode_one, in_axes=-1))(maps)
  return Decoded(*(part.reshape(*leading, *part.shape[1:]) for part in parts))


def _shifted(heatmap, shift=None):
  """The first maximum, moved by `shift(heatmap, maximum, score)` [2] px."""
  maximum, score = first_maximum(heatmap)
  keypoint = maximum.astype(jnp.float32)
  if shift is not None:
    keypoint = keypoint + shift(heatmap, maximum, score)
  return keypoint, score, jnp.full((2, 2), jnp.nan, jnp.float32)


def _sign_shift(heatmap, maximum, score):
  height, width = heatmap.shape
  x, y = maximum
  may_shift = (x > 1) & (x < width - 1) & (y > 1) & (y < height - 1)
  right, below = jnp.minimum(x + 1, width - 1), jnp.minimum(y + 1, height - 1)
  left, above = jnp.maximum(x - 1, 0), jnp.maximum(y - 1, 0)
  sign_x = jnp.sign(heatmap[y, right] - heatmap[y, left])
  sign_y = jnp.sign(heatmap[below, x] - heatmap[above, x])
  sign = jnp.stack([sign_x, sign_y]).astype(jnp.float32)
  return QUARTER * jnp.where(may_shift & jnp.isfinite(score), sign, 0.0)


def _eq1_shift(heatmap, maximum, score):
  del score
  towards = second_maximum(heatmap, maximum) - maximum
  towards = towards.astype(jnp.float32)
  length = jnp.sqrt(jnp.maximum(jnp.sum(jnp.square(towards)), 1.0))
  return QUARTER * towards / length


_SHIFTS = {"sign": _sign_shift, "eq1": _eq1_shift}


def _resolve_kernel(blur_kernel, sigma, size):
  largest = 2 * max(size) + 1
  if blur_kernel is None and sigma is None:
    return min(DEFAULT_BLUR_KERNEL, largest)
  if blur_kernel is None:
    sigma = arguments.as_positive("sigma", sigma)
    return min(blur_kernel_for_sigma(sigma), largest)
  blur_kernel = arguments.as_number("blur_kernel", blur_kernel)
  if blur_kernel % 2 != 1 or not 1 <= blur_kernel <= largest:
    raise ValueError(
      f"blur_kernel is odd, from 1 (no blur) to {largest} for maps of"
      f" {size[0]} x {size[1]} pixels, got {blur_kernel:g}"
    )
  return int(blur_kernel)
