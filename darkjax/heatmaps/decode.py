"""From heatmaps to keypoints (paper §3.1): argmax, standard shift, DARK.

Coordinates are heatmap pixels (x, y), float32; an integer coordinate is the
centre of a pixel. Heatmaps are [..., H, W, K]. `render_heatmaps` is the
inverse.
"""

import math
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp

from darkjax.heatmaps import taylor
from darkjax.heatmaps.blur import band_matrix, blur_kernel_for_sigma

METHODS = ("argmax", "standard", "dark")
BORDERS = ("refine", "official")
STANDARDS = ("sign", "eq1")
DEFAULT_BLUR_KERNEL = 11  # the authors' choice for all sizes but 32 x 24
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
  method: str = "dark",
  blur_kernel: int | None = None,
  sigma: float | None = None,
  border: str = "refine",
  standard: str = "sign",
) -> Decoded:
  """Reads one keypoint per map: see Decoded for the frame of the result."""
  heatmaps = jnp.asarray(heatmaps)
  _check_choices(heatmaps, method, border, standard)
  kernel = _resolved_kernel(blur_kernel, sigma, heatmaps.shape[-3:-1])
  return _decode(heatmaps, method, kernel, border, standard)


@partial(jax.jit, static_argnums=(1, 2, 3, 4))
def _decode(heatmaps, method, blur_kernel, border, standard):
  lead, (height, width, num_keypoints) = (
    heatmaps.shape[:-3],
    heatmaps.shape[-3:],
  )
  if not jnp.issubdtype(heatmaps.dtype, jnp.floating):
    heatmaps = heatmaps.astype(jnp.float32)
  maps = heatmaps.reshape((math.prod(lead), height, width, num_keypoints))
  if method == "argmax":
    decode = _over_maps(_argmax)
  elif method == "standard":
    decode = _over_maps(_SHIFTS[standard])
  elif border == "refine":
    decode = _over_maps(partial(_refine, blur_kernel=blur_kernel))
  else:
    decode = partial(_official, blur_kernel=blur_kernel)
  decoded = decode(maps)
  return Decoded(*(part.reshape(lead + part.shape[1:]) for part in decoded))


def _over_maps(decode_one):
  return jax.vmap(jax.vmap(decode_one, in_axes=-1), in_axes=0)


def _argmax(heatmap):
  maximum, score = first_maximum(heatmap)
  return Decoded(maximum.astype(jnp.float32), score, _no_covariance())


def _no_covariance():
  return jnp.full((2, 2), jnp.nan, jnp.float32)


def first_maximum(heatmap: jax.Array) -> tuple[jax.Array, jax.Array]:
  """Finds the first maximum in row-major order, as np.argmax does.

  Row maxima first, then along the one row that holds the maximum: the map is
  read once, by plain maxima.

  Args:
    heatmap: [H, W] floats.

  Returns:
    [2] int32 (x, y), and the maximum as float32.
  """
  rows = heatmap.max(axis=1)
  y = _first_index_of_max(rows)
  x = _first_index_of_max(heatmap[y])
  return jnp.stack([x, y]), rows.max().astype(jnp.float32)


def _first_index_of_max(values):
  length = values.shape[0]
  index = jnp.arange(length, dtype=jnp.float32)
  is_max = values == values.max(axis=0, keepdims=True)
  index = jnp.where(is_max, index, length - 1.0).min(axis=0)
  return index.astype(jnp.int32)


def _sign_shift(heatmap):
  height, width = heatmap.shape
  maximum, score = first_maximum(heatmap)
  x, y = maximum
  right, left = jnp.clip(x + 1, 0, width - 1), jnp.clip(x - 1, 0, width - 1)
  below, above = jnp.clip(y + 1, 0, height - 1), jnp.clip(y - 1, 0, height - 1)
  slope = jnp.stack(
    [
      heatmap[y, right] - heatmap[y, left],
      heatmap[below, x] - heatmap[above, x],
    ]
  ).astype(jnp.float32)
  may_shift = (x > 1) & (x < width - 1) & (y > 1) & (y < height - 1)
  shift = jnp.where(may_shift, QUARTER * jnp.sign(slope), 0.0)
  shift = jnp.nan_to_num(jax.lax.stop_gradient(shift))
  return Decoded(maximum.astype(jnp.float32) + shift, score, _no_covariance())


def _eq1_shift(heatmap):
  height, width = heatmap.shape
  maximum, score = first_maximum(heatmap)
  is_maximum = (jnp.arange(height)[:, None] == maximum[1]) & (
    jnp.arange(width)[None, :] == maximum[0]
  )
  rest = jnp.where(is_maximum, -jnp.inf, heatmap)
  second, _ = first_maximum(rest)
  towards = (second - maximum).astype(jnp.float32)
  length = jnp.maximum(jnp.linalg.norm(towards), 1.0)
  keypoint = maximum.astype(jnp.float32) + QUARTER * towards / length
  return Decoded(keypoint, score, _no_covariance())


_SHIFTS = {"sign": _sign_shift, "eq1": _eq1_shift}


def _refine(heatmap, blur_kernel):
  height, width = heatmap.shape
  maximum, score = first_maximum(heatmap)
  limit = jnp.array([width - 2, height - 2], jnp.int32)
  center = jnp.clip(maximum, 1, limit)
  scale = jnp.where(score > 0, score, 1.0)
  scaled = heatmap.astype(jnp.float32) / jax.lax.stop_gradient(scale)
  blurred = taylor.blurred_window(scaled, center, blur_kernel, 1)
  inside = taylor.blurred_window(
    jnp.ones((height, width), jnp.float32), center, blur_kernel, 1
  )
  logs = jnp.log(jnp.maximum(blurred / inside, taylor.LOG_FLOOR))
  gradient, hessian = taylor.unit_derivatives(logs)
  covariance = taylor.peak_covariance(hessian)
  is_peak = ~jnp.isnan(covariance[0, 0]) & (score > 0)
  step = jnp.where(is_peak, taylor.newton_step(gradient, hessian), 0.0)
  keypoint = jnp.where(is_peak, center, maximum).astype(jnp.float32) + step
  shift = keypoint - maximum.astype(jnp.float32)
  length = jnp.sqrt(jnp.maximum(jnp.sum(jnp.square(shift)), 1e-12))
  shift = shift * jnp.minimum(1.0, taylor.MAX_SHIFT / length)
  limit = jnp.array([width - 1.0, height - 1.0], jnp.float32)
  keypoint = jnp.clip(maximum.astype(jnp.float32) + shift, 0.0, limit)
  return Decoded(keypoint, score, covariance)


def _official(maps, blur_kernel):
  """The authors' algorithm on [N, H, W, K]."""
  height, width = maps.shape[1:3]
  maps = maps.astype(jnp.float32)
  maximum, score = _over_maps(first_maximum)(maps)
  windows = _over_windows(
    partial(taylor.blurred_window, blur_kernel=blur_kernel, reach=2)
  )(maps, maximum)
  can_refine = (
    (maximum >= 2)
    & (maximum < jnp.array([width - 2, height - 2]).reshape(1, 1, 2))
  ).all(-1) & (score > 0)
  needs_floor = (windows < taylor.LOG_FLOOR).any((2, 3)) & can_refine
  scale = jax.lax.cond(
    needs_floor.any(),
    lambda: score / _blurred_maximum(maps, blur_kernel),
    lambda: jnp.ones_like(score),
  )
  return jax.vmap(jax.vmap(partial(_official_one, size=(height, width))))(
    maximum, score, windows, jax.lax.stop_gradient(scale), can_refine
  )


def _official_one(maximum, score, window, scale, can_refine, size):
  height, width = size
  logs = jnp.log(
    jnp.maximum(jnp.where(can_refine, window * scale, 1.0), taylor.LOG_FLOOR)
  )
  gradient, hessian = taylor.official_derivatives(logs)
  maximum = jnp.where(score > 0, maximum, 0).astype(jnp.float32)
  keypoint = maximum + taylor.newton_step(gradient, hessian)
  limit = jnp.array([width - 1.0, height - 1.0], jnp.float32)
  return Decoded(
    jnp.clip(keypoint, 0.0, limit), score, taylor.peak_covariance(hessian)
  )


def _over_windows(window_one):
  return jax.vmap(jax.vmap(window_one, in_axes=(-1, 0)))


def _blurred_maximum(maps, blur_kernel):
  radius = (blur_kernel - 1) // 2
  height, width = maps.shape[1:3]
  rows = band_matrix(blur_kernel, height)[:, radius : radius + height]
  columns = band_matrix(blur_kernel, width)[:, radius : radius + width]
  return jnp.einsum(
    "iy,nyxk,jx->nijk", rows, maps, columns, precision="highest"
  ).max((1, 2))


def _check_choices(heatmaps, method, border, standard):
  if heatmaps.ndim < 3:
    raise ValueError(
      f"heatmaps are [..., H, W, K]: expected rank 3 or more, got shape"
      f" {heatmaps.shape}"
    )
  for name, value, known in (
    ("method", method, METHODS),
    ("border", border, BORDERS),
    ("standard", standard, STANDARDS),
  ):
    if value not in known:
      raise ValueError(f"{name} is one of {list(known)}, got {value!r}")


def _resolved_kernel(blur_kernel, sigma, size):
  limit = 2 * max(size) + 1
  if blur_kernel is None:
    derived = (
      DEFAULT_BLUR_KERNEL if sigma is None else blur_kernel_for_sigma(sigma)
    )
    return min(derived, limit)
  if blur_kernel % 2 == 0 or not 1 <= blur_kernel <= limit:
    raise ValueError(
      f"blur_kernel is odd, at least 1 and at most {limit}, got {blur_kernel}"
    )
  return blur_kernel
