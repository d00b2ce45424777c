"""From crops to keypoints in the image, with networks whose answer is known."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conventions import make_convention
from small_network import FACE

from darkjax import convention, geometry, inference
from darkjax.heatmaps.encode import render_heatmaps

# No modulation: the decoder is exact on Gaussians.
DARK = make_convention(FACE, (64, 48), blur_kernel=1)
HRNET = dataclasses.replace(DARK, alignment="hrnet", flip_shift=1)
# Pixels (x, y) of the crops where nose and eyes are; the eyes at two heights.
POINTS = np.array(
  [[[20, 30], [31, 25], [13, 22]], [[25, 41], [30, 27], [16, 34]]]
)


def crops() -> jnp.ndarray:
  """[2, 64, 48, 3] black uint8 crops with a red, a green and a blue pixel."""
  images = np.zeros((2, 64, 48, 3), np.uint8)
  for b, k in np.ndindex(2, 3):
    x, y = POINTS[b, k]
    images[b, y, x, k] = 255
  return jnp.asarray(images)


@dataclasses.dataclass(frozen=True)
class PerfectNetwork:
  """Draws Gaussians where the lit pixels are, as training would have it.

  The red pixel is the nose. Of the green and the blue one, that with the
  larger x is the left eye, as it would be for a person in a mirror.
  """

  convention: convention.Convention
  stages: int = 1

  def apply(self, variables: Any, images, *, train: bool):
    assert variables == {"params": {}}
    assert not train
    light = images - images.min((1, 2), keepdims=True)
    height, width = images.shape[1:3]
    xs = jnp.arange(width, dtype=jnp.float32).reshape(1, 1, width, 1)
    ys = jnp.arange(height, dtype=jnp.float32).reshape(1, height, 1, 1)
    x, y = ((light * a).sum((1, 2)) / light.sum((1, 2)) for a in (xs, ys))
    points = jnp.stack([x, y], -1)
    swapped = (points[:, 1, :1] < points[:, 2, :1])[:, None]
    points = jnp.where(swapped, points[:, np.array([0, 2, 1])], points)
    matrix = jnp.asarray(self.convention.heatmap_from_crop(), jnp.float32)
    matrix = jnp.tile(matrix[None], (len(images), 1, 1))
    heatmaps = render_heatmaps(
      geometry.apply_affine(matrix, points),
      size=self.convention.heatmap_size,
      sigma=self.convention.sigma,
    )
    if self.convention.head == "softmax":
      heatmaps = jnp.log(jnp.maximum(heatmaps, 1e-30))
    if self.stages == 1:
      return heatmaps
    return (*(jnp.zeros_like(heatmaps),) * (self.stages - 1), heatmaps)


@dataclasses.dataclass(frozen=True)
class FixedNetwork:
  """Gives the same maps whatever it sees."""

  maps: Any

  def apply(self, variables: Any, images, *, train: bool):
    return self.maps


def predict(used, *, flip_test, model=None, images=None):
  return inference.predict_heatmaps(
    model or PerfectNetwork(used),
    {"params": {}},
    crops() if images is None else images,
    convention=used,
    flip_test=flip_test,
  )


def in_heatmap(heatmaps, used, method="dark") -> np.ndarray:
  """[2, 3, 2] keypoints in heatmap px."""
  same = jnp.tile(jnp.eye(2, 3)[None], (len(heatmaps), 1, 1))
  found = inference.locate(heatmaps, same, convention=used, method=method)
  return np.asarray(found.keypoints_image)


def true_heatmap_points(used) -> np.ndarray:
  matrix = np.tile(used.heatmap_from_crop(), (2, 1, 1))
  return geometry.apply_affine(matrix, POINTS)


@pytest.mark.parametrize("head", ["gaussian", "softmax"])
@pytest.mark.parametrize("alignment", ["dark", "udp"])
def test_flip_test_changes_nothing_where_frames_mirror_exactly(alignment, head):
  used = dataclasses.replace(DARK, alignment=alignment, head=head)
  method = "dark" if head == "gaussian" else "integral"
  straight = predict(used, flip_test=False)
  both = predict(used, flip_test=True)
  # 2e-6: the mirrored Gaussian is drawn at 11 - x, rounded to float32.
  np.testing.assert_allclose(both, straight, atol=2e-6)
  # 2e-5 px: what decoders make of that; an unswapped pair is pixels away.
  truth = in_heatmap(straight, used, method)
  np.testing.assert_allclose(in_heatmap(both, used, method), truth, atol=2e-5)
  if method == "dark":
    np.testing.assert_allclose(truth, true_heatmap_points(used), atol=2e-5)


@pytest.mark.parametrize(("shift", "offset"), [(0, -0.75), (1, 0.25)])
def test_mirrored_heatmaps_under_hrnet_are_off_as_documented(shift, offset):
  mirrored = predict(HRNET, flip_test=False, images=crops()[:, :, ::-1])
  back = inference.unflip_heatmaps(
    mirrored, flip_indices=FACE.flip_indices, shift=shift
  )
  error = in_heatmap(back, HRNET) - true_heatmap_points(HRNET)
  # By hand: 4x -> 47 - 4x -> 11 - (47 - 4x)/4 = x - 3/4. 2e-5 px: float32.
  np.testing.assert_allclose(error[..., 0], offset, atol=2e-5)
  np.testing.assert_allclose(error[..., 1], 0.0, atol=2e-5)


def test_flip_test_under_hrnet_moves_keypoints_by_half_a_quarter_pixel():
  found = in_heatmap(predict(HRNET, flip_test=True), HRNET)
  error = found - true_heatmap_points(HRNET)
  # The mean of Gaussians at x and x + 1/4 peaks in between; 2e-3 px: as it is
  # no Gaussian itself, the Taylor step misses by the third order, (1/8)³.
  np.testing.assert_allclose(error[..., 0], 0.125, atol=2e-3)
  np.testing.assert_allclose(error[..., 1], 0.0, atol=2e-5)


def test_flip_test_of_a_softmax_head_averages_keypoints():
  used = dataclasses.replace(HRNET, head="softmax", sigma=0.7)
  straight = predict(used, flip_test=False)
  both = predict(used, flip_test=True)
  np.testing.assert_allclose(straight.sum((1, 2)), 1.0, rtol=1e-6)
  before = in_heatmap(straight, used, "integral")
  moved = in_heatmap(both, used, "integral") - before
  # The mean of x and x + 1/4. 5e-3 px: the first column, which the shift
  # doubles, is 3.5 sigma or more from a keypoint and holds 1e-3 of its mass.
  np.testing.assert_allclose(moved[..., 0], 0.125, atol=5e-3)
  np.testing.assert_allclose(moved[..., 1], 0.0, atol=2e-5)


def test_mass_that_a_flip_shift_pushes_out_does_not_count():
  used = dataclasses.replace(HRNET, head="softmax")
  logits = np.full((2, 16, 12, 3), -200.0, np.float32)
  logits[0, 4, 5] = 0.0  # the crop: at (5, 4)
  logits[1, 4, 0] = 0.0  # its mirror: comes back at x = 11, is shifted to 12
  heatmaps = predict(
    used,
    flip_test=True,
    model=FixedNetwork(jnp.asarray(logits)),
    images=crops()[:1],
  )
  np.testing.assert_allclose(heatmaps.sum((1, 2)), 0.5, rtol=1e-6)
  found = in_heatmap(heatmaps, used, "integral")
  np.testing.assert_allclose(found, np.tile([5.0, 4.0], (1, 3, 1)), atol=1e-5)


def test_unflip_by_hand():
  heatmaps = jnp.arange(2 * 3 * 2, dtype=jnp.float32).reshape(2, 3, 2)
  back = inference.unflip_heatmaps(heatmaps, flip_indices=(1, 0), shift=0)
  # Rows of channel 0 are 0 2 4 and 6 8 10, of channel 1 they are 1 3 5, 7 9 11.
  np.testing.assert_array_equal(back[..., 0], [[5, 3, 1], [11, 9, 7]])
  np.testing.assert_array_equal(back[..., 1], [[4, 2, 0], [10, 8, 6]])
  shifted = inference.unflip_heatmaps(heatmaps, flip_indices=(1, 0), shift=1)
  np.testing.assert_array_equal(shifted[..., 0], [[5, 5, 3], [11, 11, 9]])


def test_the_last_stage_is_the_prediction():
  model = PerfectNetwork(DARK, stages=3)
  np.testing.assert_array_equal(
    predict(DARK, flip_test=False, model=model), predict(DARK, flip_test=False)
  )


@pytest.mark.parametrize(("order", "step"), [("rgb", 1), ("bgr", -1)])
def test_normalize(rng, order, step):
  images = rng.integers(0, 256, (2, 5, 4, 3), np.uint8)
  found = inference.normalize(jnp.asarray(images), channel_order=order)
  # ImageNet statistics, in this order for either order of the pixels.
  mean, std = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
  expected = (images[..., ::step] / 255.0 - mean) / std
  assert found.dtype == jnp.float32
  np.testing.assert_allclose(found, expected, atol=1e-6)  # float32, up to 2.7


def test_the_network_sees_pixels_in_the_order_of_the_convention(rng):
  @dataclasses.dataclass(frozen=True)
  class Window:
    def apply(self, variables: Any, images, *, train: bool):
      return images[:, ::4, ::4]

  images = jnp.asarray(rng.integers(0, 256, (1, 64, 48, 3), np.uint8))
  used = dataclasses.replace(DARK, channel_order="bgr")
  seen = predict(used, flip_test=False, model=Window(), images=images)
  expected = inference.normalize(images, channel_order="bgr")[:, ::4, ::4]
  np.testing.assert_array_equal(seen, expected)


@pytest.mark.parametrize("method", ["dark", "integral"])
def test_keypoints_and_covariances_in_the_image(method):
  head = "softmax" if method == "integral" else "gaussian"
  used = dataclasses.replace(DARK, head=head)
  # 8 sigma from the borders, so that moments are the Gaussian's.
  ys, xs = np.mgrid[:32, :28]
  heatmap = np.exp(-((xs - 13.2) ** 2) / 2 - ((ys - 15.7) ** 2) / (2 * 1.5**2))
  heatmaps = jnp.asarray(np.tile(heatmap[None, ..., None], (2, 1, 1, 3)))
  image_from_heatmap = np.zeros((2, 2, 3), np.float32)
  # A quarter turn, three times as large; and twice as wide, five times as high.
  image_from_heatmap[0] = [[0, -3, 100], [3, 0, 200]]
  image_from_heatmap[1] = [[2, 0, 10], [0, 5, 20]]
  found = inference.locate(
    heatmaps.astype(jnp.float32),
    jnp.asarray(image_from_heatmap),
    convention=used,
    method=method,
  )
  # By hand. 1e-3 px: float32 at 200 px, and 1e-5 px in the heatmap.
  points = [[100 - 3 * 15.7, 200 + 3 * 13.2], [10 + 2 * 13.2, 20 + 5 * 15.7]]
  for person, point in enumerate(points):
    np.testing.assert_allclose(
      found.keypoints_image[person], np.tile(point, (3, 1)), atol=1e-3
    )
  # Variances 1 and 2.25 px² change places in the quarter turn.
  covariances = [[9 * 2.25, 9.0], [4.0, 25 * 2.25]]
  for person, variances in enumerate(covariances):
    # 1e-3 relative: differences of logarithms in float32.
    np.testing.assert_allclose(
      found.covariances[person],
      np.tile(np.diag(variances), (3, 1, 1)),
      rtol=1e-3,
      atol=1e-3,
    )


@pytest.mark.parametrize("method", convention.METHODS)
def test_a_softmax_head_has_one_score_for_all_methods(method):
  used = dataclasses.replace(DARK, head="softmax")
  found = inference.locate(
    predict(used, flip_test=False),
    jnp.tile(jnp.eye(2, 3)[None], (2, 1, 1)),
    convention=used,
    method=method,
  )
  # 0.8 for a Gaussian of the training sigma, see heatmaps/soft_argmax.py; up to
  # half a pixel from the mean it falls by exp(-0.5 / (2·5)) per axis at most;
  # at 3 sigma the border adds a little. The map's maximum would be 0.16.
  np.testing.assert_allclose(found.scores, 0.8, atol=0.04)


def test_a_gaussian_head_scores_by_the_maximum():
  heatmaps = predict(DARK, flip_test=False) * 0.7
  same = jnp.tile(jnp.eye(2, 3)[None], (2, 1, 1))
  found = inference.locate(heatmaps, same, convention=DARK)
  np.testing.assert_array_equal(found.scores, heatmaps.max((1, 2)))


def test_unknown_methods_and_heads_are_refused():
  heatmaps, same = jnp.zeros((1, 16, 12, 3)), jnp.eye(2, 3)[None]
  with pytest.raises(ValueError, match=r"integral.*got 'soft'"):
    inference.locate(heatmaps, same, convention=DARK, method="soft")
  with pytest.raises(ValueError, match="'gaussian' head; use one of"):
    inference.locate(heatmaps, same, convention=DARK, method="integral")


def test_prediction_and_location_compile_together():
  used = dataclasses.replace(DARK, head="softmax")

  @jax.jit
  def run(images, image_from_heatmap):
    heatmaps = predict(used, flip_test=True, images=images)
    return inference.locate(
      heatmaps, image_from_heatmap, convention=used, method="integral"
    )

  same = jnp.tile(jnp.eye(2, 3)[None], (2, 1, 1))
  found = run(crops(), same)
  plain = in_heatmap(predict(used, flip_test=True), used, "integral")
  np.testing.assert_allclose(found.keypoints_image, plain, atol=1e-5)
