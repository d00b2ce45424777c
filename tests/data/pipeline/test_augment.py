"""Augmentation: the official numbers and order, and its randomness."""

import dataclasses
import math

import numpy as np
import pytest

from darkjax import skeletons
from darkjax.data.pipeline import augment

# Four standard errors of a share over 20,000 draws: 4 * 0.5 / sqrt(20000).
SHARE_TOLERANCE = 0.015
COUNT = 20_000


def draw(count: int = COUNT, **changes) -> augment.Draws:
  settings = {
    "seed": 0,
    "epoch": 0,
    "datasets": np.zeros(count, int),
    "annotation_ids": np.arange(count),
  }
  return augment.draw(**{**settings, **changes})


def values(draws: augment.Draws) -> np.ndarray:
  """[B, 6]."""
  return np.stack(
    [draws.half_body, draws.upper, draws.rotate, draws.flip, draws.scale,
     draws.rotation], -1,
  )  # fmt: skip


def people(count: int, labelled: int = 17):
  """The same person `count` times: centre, scale, keypoints, visibility."""
  keypoints = np.random.default_rng(5).uniform(20, 90, (17, 2))
  visibility = (np.arange(17) < labelled).astype(np.float32)
  return {
    "center": np.tile([60.0, 50.0], (count, 1)),
    "scale": np.tile([90.0, 120.0], (count, 1)),
    "keypoints_image": np.tile(keypoints, (count, 1, 1)),
    "visibility": np.tile(visibility, (count, 1)),
    "skeleton": skeletons.COCO,
  }


def test_draws_depend_on_the_example_alone():
  ids = np.array([7, 900_100_000_000, 3])
  together = values(draw(3, annotation_ids=ids))
  turned = values(draw(3, annotation_ids=ids[::-1]))[::-1]
  alone = np.concatenate([values(draw(1, annotation_ids=[i])) for i in ids])
  np.testing.assert_array_equal(together, turned)
  np.testing.assert_array_equal(together, alone)


@pytest.mark.parametrize(
  "change",
  [
    {"seed": 1},
    {"epoch": 1},
    {"datasets": np.array([1, 1])},
    {"annotation_ids": np.array([-1, 2**62])},
  ],
)
def test_draws_differ_by_everything_that_names_them(change):
  assert not np.any(values(draw(2)) == values(draw(2, **change)))


def test_what_the_paper_draws_comes_first_whatever_else_there_is():
  bits = np.random.Philox(key=[3, 2], counter=[0, 0, 1, 7])
  generator = np.random.Generator(bits)
  expected = [*generator.random(4), *generator.standard_normal(2)]
  one = {"datasets": np.array([1]), "annotation_ids": np.array([7])}
  drawn = values(draw(seed=3, epoch=2, **one))
  np.testing.assert_array_equal(drawn[0], expected)


def test_draws_are_uniform_and_normal_and_uncorrelated():
  drawn = values(draw())
  # Moments of U(0,1) and N(0,1); four standard errors of 20,000 draws.
  np.testing.assert_allclose(drawn[:, :4].mean(0), 0.5, atol=4 * 0.289 / 141)
  np.testing.assert_allclose(drawn[:, :4].std(0), 1 / 12**0.5, atol=0.006)
  np.testing.assert_allclose(drawn[:, 4:].mean(0), 0.0, atol=4 / 141)
  np.testing.assert_allclose(drawn[:, 4:].std(0), 1.0, atol=4 / 200)
  off_diagonal = np.corrcoef(drawn.T) - np.eye(6)
  np.testing.assert_allclose(off_diagonal, 0, atol=4 / 141)
  neighbours = np.corrcoef(drawn[:-1, 4], drawn[1:, 4])[0, 1]
  assert abs(neighbours) < 4 / 141


def test_shares_are_the_recipe():
  _, scale, rotation, flip = augment.augment(
    augment.Augmentation(half_body_probability=0), draw(), **people(COUNT)
  )
  assert abs(flip.mean() - 0.5) < SHARE_TOLERANCE
  assert abs((rotation != 0).mean() - 0.6) < SHARE_TOLERANCE
  factor = scale[:, 0] / 90
  np.testing.assert_allclose(factor, scale[:, 1] / 120, rtol=1e-12)
  assert (factor.min(), factor.max()) == pytest.approx((0.65, 1.35))
  # A normal is beyond one deviation, and so at either limit, in 15.87 %.
  assert abs((factor > 1.3499).mean() - 0.1587) < SHARE_TOLERANCE
  assert abs((factor < 0.6501).mean() - 0.1587) < SHARE_TOLERANCE
  assert np.abs(rotation).max() == pytest.approx(np.pi / 2)  # twice 45°
  # Beyond two deviations in 4.55 % of the 60 % that turn.
  share = (np.abs(rotation) > np.pi / 2 - 1e-6).mean()
  assert abs(share - 0.0273) < SHARE_TOLERANCE / 3


def test_the_shift_is_a_share_of_the_box_and_bounded():
  shifts = dataclasses.replace(augment.NONE, shift_factor=0.1)
  center, scale, *_ = augment.augment(shifts, draw(), **people(COUNT))
  assert (scale == [90, 120]).all()
  shift = (center - [60, 50]) / [90, 120]
  assert np.abs(shift).max(0) == pytest.approx([0.2, 0.2])
  # Of a normal cut at twice its deviation, 0.9594 of the deviation is left.
  np.testing.assert_allclose(shift.std(0), 0.0959, atol=4 * 0.07 / 141)
  assert abs(np.corrcoef(shift.T)[0, 1]) < 4 / 141


def test_the_upper_probability_is_that_of_the_slip():
  exact = 0.5 * (1 + math.erf(0.5 / math.sqrt(2)))  # P(N(0,1) < 0.5)
  assert pytest.approx(exact, abs=1e-7) == augment.OFFICIAL_UPPER_PROBABILITY


def test_half_body_shares():
  only_half = augment.Augmentation(
    scale_factor=0, rotation_probability=0, flip_probability=0
  )
  some = people(COUNT)
  center, _, _, _ = augment.augment(only_half, draw(), **some)
  keypoints = some["keypoints_image"][0]
  upper = np.isclose(center, keypoints[:11].mean(0)).all(-1)
  lower = np.isclose(center, keypoints[11:].mean(0)).all(-1)
  # 0.3 * 0.6915 and 0.3 * 0.3085.
  assert abs(upper.mean() - 0.2074) < SHARE_TOLERANCE
  assert abs(lower.mean() - 0.0926) < SHARE_TOLERANCE
  assert (upper | lower | (center == [60, 50]).all(-1)).all()


def test_eight_labels_are_not_enough_for_half_body():
  always = augment.Augmentation(half_body_probability=1, scale_factor=0)
  eight, *_ = augment.augment(always, draw(5), **people(5, labelled=8))
  nine, *_ = augment.augment(always, draw(5), **people(5, labelled=9))
  assert (eight == [60, 50]).all()
  assert not (nine == [60, 50]).any()


def half(keypoints, labelled=None, **changes):
  keypoints = np.array(keypoints, np.float64)
  labelled = np.ones(len(keypoints), bool) if labelled is None else labelled
  settings = {"skeleton": skeletons.LSP, "prefer_upper": True, "aspect": 0.75}
  return augment.half_body(keypoints, labelled, **{**settings, **changes})


def lsp_person() -> np.ndarray:
  """Legs (0-5) in x 0..10, y 50..90; upper body (6-13) in 20..60, 0..30."""
  legs = [[0, 50], [10, 90], [5, 70], [5, 70], [5, 70], [5, 70]]
  upper = [[20, 0], [60, 30], *[[40, 15]] * 6]
  return np.array(legs + upper, np.float64)


def test_half_body_by_hand():
  # Extent 40 x 30 at aspect 3/4 is 40 x 53.33; times 1.5.
  center, scale = half(lsp_person())
  np.testing.assert_allclose(center, [40, 15])
  np.testing.assert_allclose(scale, [60, 80])
  # Extent 10 x 40 is widened to 30 x 40; times 1.5.
  center, scale = half(lsp_person(), prefer_upper=False)
  np.testing.assert_allclose(center, [5, 70])
  np.testing.assert_allclose(scale, [45, 60])


@pytest.mark.parametrize(
  ("upper", "lower", "prefer_upper", "expected"),
  [
    (3, 3, True, "upper"),
    (2, 3, True, "lower"),  # more than two are needed
    (3, 2, False, "upper"),
    (2, 2, False, "upper"),
    (2, 2, True, "upper"),
    (1, 2, True, None),  # fewer than two: no half body
  ],
)
def test_which_half(upper, lower, prefer_upper, expected):
  keypoints = lsp_person() + np.arange(28).reshape(14, 2)
  labelled = np.zeros(14, bool)
  labelled[:lower] = labelled[6 : 6 + upper] = True
  found = half(keypoints, labelled, prefer_upper=prefer_upper)
  parts = {"upper": keypoints[6 : 6 + upper], "lower": keypoints[:lower]}
  if expected is None:
    assert found is None
  else:
    np.testing.assert_allclose(found[0], parts[expected].mean(0))


def test_half_body_without_extent_is_skipped_and_never_tiny():
  assert half(np.full((14, 2), 7.0)) is None
  _, scale = half(np.linspace(0, 1e-3, 28).reshape(14, 2))
  np.testing.assert_allclose(scale, [2, 8 / 3])


def official(augmentation, draws, i, *, center, scale, aspect, **person):
  """The steps of JointsDataset.__getitem__ for one person, one by one."""
  center, scale, rotation = center[i], scale[i], 0.0
  keypoints, visible = person["keypoints_image"][i], person["visibility"][i]
  if visible.sum() > 8 and draws.half_body[i] < 0.3:
    part = augment.half_body(
      keypoints,
      visible > 0,
      skeleton=person["skeleton"],
      prefer_upper=draws.upper[i] < 0.6914625,
      aspect=aspect,
    )
    if part is not None:
      center, scale = part
  factor, turn = augmentation.scale_factor, augmentation.rotation_factor
  scale = scale * np.clip(draws.scale[i] * factor + 1, 1 - factor, 1 + factor)
  if draws.rotate[i] < 0.6:
    rotation = np.clip(draws.rotation[i] * turn, -turn * 2, turn * 2)
  return center, scale, rotation, draws.flip[i] < 0.5


def test_order_is_half_body_then_scale():
  some, draws = people(200), draw(200)
  defaults = augment.Augmentation()
  found = augment.augment(defaults, draws, **some)
  for i in range(200):
    expected = official(defaults, draws, i, aspect=0.75, **some)
    for one, other in zip(found, expected, strict=True):
      np.testing.assert_allclose(one[i], other, rtol=1e-12)


def test_none_changes_nothing():
  some = people(500)
  center, scale, rotation, flip = augment.augment(
    augment.NONE, draw(500), **some
  )
  np.testing.assert_array_equal(center, some["center"])
  np.testing.assert_array_equal(scale, some["scale"])
  assert not rotation.any()
  assert not flip.any()


def test_augment_leaves_its_arguments_alone():
  some = people(50)
  before = {n: v.copy() for n, v in some.items() if n != "skeleton"}
  augment.augment(
    augment.Augmentation(half_body_probability=1), draw(50), **some
  )
  for name, value in before.items():
    np.testing.assert_array_equal(some[name], value)


def test_at_least_keeps_the_aspect():
  scale = augment.at_least(np.array([[1.0, 4.0], [30.0, 40.0], [0.3, 0.4]]))
  np.testing.assert_allclose(scale, [[2, 8], [30, 40], [2, 8 / 3]])


def test_mirror_swaps_the_first_and_the_last_pixel():
  np.testing.assert_array_equal(
    augment.mirror(np.array([7, 10])),
    [[[-1, 0, 6], [0, 1, 0]], [[-1, 0, 9], [0, 1, 0]]],
  )


def test_from_config_takes_degrees():
  config = {"rotation_degrees": 30.0, "flip_probability": 0.25}
  made = augment.from_config(config)
  assert made.rotation_factor == pytest.approx(np.pi / 6)
  assert made.flip_probability == 0.25


@pytest.mark.parametrize(
  "wrong",
  [{"flip_probability": 1.5}, {"scale_factor": 1.0}, {"scale_factor": np.nan}],
)
def test_impossible_settings_are_refused(wrong):
  with pytest.raises(ValueError, match=f"{next(iter(wrong))} must lie"):
    augment.Augmentation(**wrong)


@pytest.mark.parametrize("upper", [(), tuple(range(12))])
def test_a_skeleton_without_two_halves_has_no_half_body(upper):
  names = tuple(f"tip_{k}" for k in range(12))
  hand = skeletons.from_coco_category(
    {"name": "hand", "keypoints": names, "upper_body": upper}
  )
  keypoints = np.random.default_rng(3).uniform(0, 50, (12, 2))
  part = augment.half_body(
    keypoints, np.ones(12, bool), skeleton=hand, prefer_upper=True, aspect=0.75
  )
  assert part is None
