"""The width of peaks, measured on maps whose width is known."""

import ml_dtypes
import numpy as np
import pytest
from heatmap_cases import draw

import darkjax
from darkjax.heatmaps import width
from darkjax.heatmaps.width import estimate_sigma

SIZE = (32, 24)
SIGMAS = (0.7, 1.0, 1.5, 2.0, 3.0, 5.0)


def drawn(rng, sigma, *, margin=2.0, count=20, truncate=None):
  """[count, H, W, 5] Gaussians, at any place of their cells."""
  last = np.array(SIZE[::-1]) - 1.0
  points = rng.uniform(margin, last - margin, (count, 5, 2))
  return np.array(
    darkjax.render_heatmaps(
      np.float32(points), size=SIZE, sigma=sigma, truncate=truncate
    )
  )


@pytest.mark.parametrize("sigma", SIGMAS)
@pytest.mark.parametrize("truncate", [None, 3.0])
def test_clean_peaks_are_measured_exactly(rng, sigma, truncate):
  maps = drawn(rng, sigma, truncate=truncate)
  # 1e-4: float32 values; the fit is exact on quadratics.
  assert estimate_sigma(maps) == pytest.approx(sigma, rel=1e-4)


@pytest.mark.parametrize("sigma", SIGMAS)
@pytest.mark.parametrize("background", [-0.3, -0.1, 0.2, 1.0, 5.0])
def test_a_constant_background_is_taken_off(rng, sigma, background):
  maps = drawn(rng, sigma) + np.float32(background)
  # A Gaussian is below 1/2000 beyond four sigmas, so it adds next to nothing.
  # Left in, a background of -0.1 narrows the peak by 5 % at least.
  assert estimate_sigma(maps) == pytest.approx(sigma, rel=5e-3)


@pytest.mark.parametrize("sigma", SIGMAS)
def test_noise_moves_it_by_less_than_a_twentieth(rng, sigma):
  maps = drawn(rng, sigma)
  noise = rng.normal(size=maps.shape)
  # Measured 0.7 % and 3.5 % at most.
  for level, bound in ((0.02, 0.02), (0.05, 0.05)):
    noisy = maps + level * noise
    assert estimate_sigma(noisy) == pytest.approx(sigma, rel=bound)


@pytest.mark.parametrize("sigma", SIGMAS)
def test_maps_without_a_clear_peak_do_not_count(rng, sigma):
  maps = drawn(rng, sigma)
  others = [
    np.zeros_like(maps),
    np.full_like(maps, 0.7),
    0.05 * rng.normal(size=maps.shape),
    -maps,
    0.3 * drawn(rng, 4.0 if sigma < 2 else 0.8, count=60),  # doubtful
  ]
  holes = maps.copy()
  holes[:, 3, 4], holes[::2, 9, 9] = np.nan, np.inf
  spike = np.zeros_like(maps)
  spike[:, 10, 10] = 1e9
  everything = np.concatenate([*others, maps, holes, spike])
  assert estimate_sigma(everything) == pytest.approx(sigma, rel=1e-3)


def test_a_background_of_minus_infinity_does_not_count(rng):
  maps = drawn(rng, 1.5, margin=4.0)
  maps[maps < 1e-4] = -np.inf  # beyond 4.3 sigmas
  assert estimate_sigma(maps) == pytest.approx(1.5, rel=1e-3)


def test_outliers_do_not_move_the_median(rng):
  maps = drawn(rng, 1.5, count=60)
  maps[::10] *= 100  # a tenth of them
  assert estimate_sigma(maps) == pytest.approx(1.5, rel=1e-3)
  wide = drawn(rng, 3.0, count=20)
  mixed = estimate_sigma(np.concatenate([maps[1:41], wide]))
  assert mixed == pytest.approx(1.5, rel=1e-3)
  # The highest of all is not what most are.
  wide[0] *= 1e6
  alone = np.concatenate([maps[1:9], maps[11:19], maps[21:29], wide[:1]])
  assert estimate_sigma(alone) == pytest.approx(1.5, rel=1e-3)


def test_the_top_of_a_peak_counts_most(rng):
  # A Gaussian on a wide skirt a tenth as high, as real peaks are.
  points = np.float32(rng.uniform([5, 5], [18, 25], (20, 5, 2)))
  top, skirt = (np.asarray(draw(points, s, size=SIZE)) for s in (1.5, 4.0))
  curvature = (1 / 1.5**2 + 0.1 / 4**2) / 1.1  # of the sum's log, at its top
  # Measured 3.6 % above; 5.6 % where all positive values count alike.
  found = estimate_sigma(top + 0.1 * skirt)
  assert found == pytest.approx(curvature**-0.5, rel=0.045)


@pytest.mark.parametrize("sigma", [1.0, 2.0, 5.0])
def test_peaks_at_and_beyond_the_border(rng, sigma):
  # Those on the outermost cells are left out, those beside them are measured
  # on the part of the window that there is.
  maps = drawn(rng, sigma, margin=-1.0, count=60)
  assert estimate_sigma(maps) == pytest.approx(sigma, rel=1e-3)
  corners = draw([[1.2, 1.4], [22.1, 1.3], [1.7, 30.2]], sigma, size=SIZE)
  assert estimate_sigma(corners) == pytest.approx(sigma, rel=1e-3)


def test_neither_scale_nor_type_matters(rng):
  maps = drawn(rng, 1.5)
  for scale in (1e-20, 255.0, 1e30):
    assert estimate_sigma(maps * np.float32(scale)) == pytest.approx(1.5, 1e-4)
  assert estimate_sigma(maps.astype(np.float16)) == pytest.approx(1.5, 1e-3)
  # bfloat16 has steps of 1/256.
  half = maps.astype(ml_dtypes.bfloat16)
  assert estimate_sigma(half) == pytest.approx(1.5, rel=1e-2)
  assert estimate_sigma(draw([[5.3, 7.8]], 1.5)) == pytest.approx(1.5, 1e-4)
  whole = (255 * maps).round().astype(np.uint8)
  assert estimate_sigma(whole) == pytest.approx(1.5, rel=1e-2)


def test_oblong_peaks_give_the_geometric_mean():
  y, x = np.mgrid[: SIZE[0], : SIZE[1]]
  covariance = np.array([[4.0, 1.5], [1.5, 2.0]])
  offset = np.stack([x - 8.3, y - 9.6], -1)
  form = np.einsum("hwi,ij,hwj->hw", offset, np.linalg.inv(covariance), offset)
  found = estimate_sigma(np.exp(-form / 2)[..., None])
  # By definition: the Gaussian of that area has sigma^2 = sqrt(det).
  assert found == pytest.approx(np.linalg.det(covariance) ** 0.25, rel=1e-6)


def test_the_shape_of_the_batch_does_not_matter(rng):
  maps = drawn(rng, 2.0) + 0.02 * rng.normal(size=(20, *SIZE, 5))
  expected = estimate_sigma(maps)
  assert isinstance(expected, float)
  shaped = maps.reshape(4, 5, *SIZE, 5)
  channels = np.moveaxis(maps, -1, 0)[..., None]
  assert estimate_sigma(shaped) == estimate_sigma(channels) == expected


def test_many_maps_are_sampled(rng, monkeypatch):
  maps = drawn(rng, 1.5, count=40)
  whole = estimate_sigma(maps)
  monkeypatch.setattr(width, "MOST_MAPS", 20)
  assert len(width._peaks(maps).x) <= 20
  assert estimate_sigma(maps) == pytest.approx(whole, rel=1e-3)


@pytest.mark.parametrize(
  "maps",
  [
    np.zeros((2, *SIZE, 3)),
    np.ones((2, *SIZE, 3)),
    np.full((2, *SIZE, 3), np.nan),
    np.zeros((0, *SIZE, 3)),
    np.zeros((2, *SIZE, 0)),
    np.full((3, 3, 1), -1.0),
    np.asarray(draw([[0.0, 7.8]], 1.5)),  # at the border
    np.eye(9)[:, :, None],  # a ridge has no width
  ],
)
def test_maps_without_any_peak_are_refused(maps):
  with pytest.raises(
    ValueError, match="has a peak whose width can be measured"
  ):
    estimate_sigma(maps)


def test_shapes_that_are_none_are_refused():
  with pytest.raises(ValueError, match=r"\[\.\.\., H, W, K\]"):
    estimate_sigma(np.zeros((5, 5)))
  with pytest.raises(ValueError, match="at least 3 x 3"):
    estimate_sigma(np.zeros((2, 5, 1)))


def test_it_chooses_the_kernel_of_the_decoder(rng):
  maps = drawn(rng, 5.0)
  measured = darkjax.decode_heatmaps(maps, sigma=estimate_sigma(maps))
  given = darkjax.decode_heatmaps(maps, blur_kernel=9)
  np.testing.assert_array_equal(measured.keypoints, given.keypoints)
