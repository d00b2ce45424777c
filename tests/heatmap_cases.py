"""Heatmaps and helpers that the tests of the decoders share."""

import jax.numpy as jnp
import numpy as np

from darkjax.heatmaps.encode import render_heatmaps

SIZE = (20, 17)  # height, width
LAST = np.array([SIZE[1] - 1.0, SIZE[0] - 1.0])  # (x, y)
METHODS = {
  "argmax": {"method": "argmax"},
  "sign": {"method": "standard"},
  "eq1": {"method": "standard", "standard": "eq1"},
  # The kernel that reaches past all borders of these maps.
  "official": {"border": "official", "blur_kernel": 11},
  "refine": {"blur_kernel": 11},
}


def draw(points, sigma, size=SIZE):
  return render_heatmaps(jnp.asarray(points), size=size, sigma=sigma)


def errors(decoded, points):
  return np.linalg.norm(np.asarray(decoded.keypoints) - points, axis=-1)


def assert_inside(decoded):
  keypoints = np.asarray(decoded.keypoints)
  assert np.isfinite(keypoints).all()
  assert (keypoints >= 0).all()
  assert (keypoints <= LAST).all()


def map_families(rng, count=24):
  """[count, H, W, 5] maps of each kind, of 5 keypoints: name -> float32."""
  points = rng.uniform([-0.4, -0.4], LAST + 0.4, (3, count, 5, 2))
  first, second, third = (np.asarray(draw(p, 2.0)) for p in points)
  noise = rng.normal(size=first.shape)
  edge = points[0].copy()
  edge[:, ::2, 0], edge[:, 1::2, 1] = 0.0, LAST[1]
  families = {
    "clean": first,
    "noisy": first + 0.1 * noise,
    "negative": -first - 1.0,
    "partly negative": first - 0.2 + 0.05 * noise,
    "flat": np.broadcast_to(rng.uniform(-1, 1, (count, 1, 1, 5)), first.shape),
    "border": np.asarray(draw(edge, 2.0)),
    "multi-peak": first + 0.97 * second + 0.9 * third,
    "weak": 1e-4 * (first + 0.3 * noise),
  }
  return {name: np.float32(maps) for name, maps in families.items()}


def each_map(maps):
  """The maps [H, W] of [N, H, W, K] in the order of [N, K]."""
  return np.moveaxis(maps, -1, 1).reshape(-1, *SIZE)
