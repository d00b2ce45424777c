"""Averaging over the image: keypoints stay where the Gaussians were drawn."""

import dataclasses
import json
import logging

import blobs
import commands
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny_weights
from small_network import FACE, GAUSSIAN, SOFTMAX

from darkjax import checkpoint, geometry, models, skeletons
from darkjax.data.coco import prepare
from darkjax.data.pipeline import batches as pipeline
from darkjax.data.synthetic import dataset
from darkjax.evaluate import predict
from darkjax.heatmaps.decode import decode_heatmaps
from darkjax.heatmaps.encode import render_heatmaps
from darkjax.inference import ensemble
from darkjax.inference.predictor import Predictor

# Maps of 24 x 16 with σ 1, and of 48 x 32 with σ 2, as the paper's sizes do.
COARSE = dataclasses.replace(
  GAUSSIAN, crop_size=(96, 64), heatmap_size=(24, 16)
)
FINE = dataclasses.replace(
  GAUSSIAN,
  crop_size=(192, 128),
  heatmap_size=(48, 32),
  sigma=2.0,
  blur_kernel=11,
)
COARSE_HRNET = dataclasses.replace(COARSE, alignment="hrnet")
# px. What Lanczos' kernel misses of a Gaussian of σ 1, and DARK's own error:
# at most 0.005 px in the table of ensemble.py, here a shift of 3/8 px too.
TOLERANCE = 0.01


@pytest.fixture
def boxes(rng):
  return np.concatenate(
    [rng.uniform(0, 300, (8, 2)), rng.uniform(60, 200, (8, 2))], -1
  )


@pytest.fixture
def points(rng, boxes):
  """[8, 3, 2] image px, inside the boxes."""
  inside = rng.uniform(0.1, 0.9, (8, 3, 2))
  return boxes[:, None, :2] + inside * boxes[:, None, 2:]


def frame(convention, boxes, turn=None) -> np.ndarray:
  """heatmap_from_image [8, 2, 3], of an image turned before if asked."""
  _, _, crop_from_image = convention.crop_from_box(boxes)
  matrix = geometry.compose(convention.heatmap_from_crop(), crop_from_image)
  return matrix if turn is None else geometry.compose(matrix, turn)


def draw(convention, heatmap_from_image, points):
  """Perfect heatmaps, their matrices, and the keypoints in heatmap px."""
  keypoints = geometry.apply_affine(heatmap_from_image, points)
  heatmaps = render_heatmaps(
    jnp.asarray(keypoints, jnp.float32),
    size=convention.heatmap_size,
    sigma=convention.sigma,
  )
  back = geometry.invert(heatmap_from_image).astype(np.float32)
  return heatmaps, jnp.asarray(back), keypoints


def average(conventions, boxes, points):
  """The reference's convention, averaged heatmaps, and keypoints in them."""
  drawn = [draw(c, frame(c, boxes), points) for c in conventions]
  reference = ensemble.reference_index(conventions)
  heatmaps = ensemble.average_heatmaps(
    [one[0] for one in drawn], [one[1] for one in drawn], reference=reference
  )
  return conventions[reference], heatmaps, drawn[reference][2]


def distance(heatmaps, convention, keypoints) -> np.ndarray:
  found = decode_heatmaps(heatmaps, blur_kernel=convention.blur_kernel)
  return np.linalg.norm(np.asarray(found.keypoints) - keypoints, axis=-1)


def scaled(convention, factor):
  return dataclasses.replace(convention, padding=convention.padding * factor)


@pytest.mark.parametrize(
  "conventions",
  [
    (COARSE, COARSE_HRNET),
    (COARSE_HRNET, FINE),
    (dataclasses.replace(FINE, alignment="udp"), COARSE_HRNET),
    (COARSE, scaled(COARSE, 1.15), scaled(COARSE, 0.9)),
  ],
  ids=["alignment", "size", "size-udp", "scales"],
)
def test_the_mean_has_its_peaks_where_they_were_drawn(
  conventions, boxes, points
):
  found = average(conventions, boxes, points)
  used, heatmaps, keypoints = found
  assert heatmaps.shape == (8, *used.heatmap_size, 3)
  assert distance(heatmaps, used, keypoints).max() < TOLERANCE


def test_a_mean_by_index_is_off(boxes, points):
  # What the module is for: half of the 3/8 px by which the two frames differ,
  # on each axis and more at the sides, where the factors differ too.
  (one, _, keypoints), (other, _, _) = (
    draw(c, frame(c, boxes), points) for c in (COARSE, COARSE_HRNET)
  )
  error = distance((one + other) / 2, COARSE, keypoints)
  assert error.mean() > 20 * TOLERANCE


def test_the_finest_member_is_the_reference():
  members = (COARSE, FINE, dataclasses.replace(FINE, alignment="udp"))
  assert ensemble.reference_index(members) == 1


def test_a_member_twice_is_the_member(rng, boxes):
  maps = jnp.asarray(rng.uniform(0, 1, (8, 24, 16, 3)), jnp.float32)
  matrix = jnp.asarray(geometry.invert(frame(COARSE, boxes)), jnp.float32)
  twice = ensemble.average_heatmaps([maps, maps], [matrix] * 2, reference=0)
  # Weights of Lanczos' kernel at whole pixels are 0 and 1, up to the rounding
  # of positions of tens of px in float32 (4e-6) times slopes of about 1.
  np.testing.assert_allclose(twice, maps, atol=1e-4)


def test_where_one_map_ends_the_others_count(boxes):
  # The map of the member on half the box is 8 x 12 px in the middle.
  near = scaled(COARSE, 0.5)
  corner = np.array([[[2.0, 3.0]]] * 8)
  points = geometry.apply_affine(geometry.invert(frame(COARSE, boxes)), corner)
  heatmaps = average((COARSE, near), boxes, points)[1]
  found = decode_heatmaps(heatmaps, blur_kernel=COARSE.blur_kernel)
  np.testing.assert_allclose(found.keypoints, corner, atol=TOLERANCE)
  np.testing.assert_allclose(found.scores, 1.0, atol=1e-5)


def turned(angle: float) -> np.ndarray:
  cos, sin = np.cos(angle), np.sin(angle)
  return np.array([[[cos, -sin, 5.0], [sin, cos, -3.0]]])


def test_crops_that_are_turned_alike(boxes, points):
  turn = turned(0.7)
  points = geometry.apply_affine(geometry.invert(turn), points)
  drawn = [
    draw(c, frame(c, boxes, turn), points) for c in (COARSE, COARSE_HRNET)
  ]
  heatmaps = ensemble.average_heatmaps(
    [one[0] for one in drawn], [one[1] for one in drawn], reference=0
  )
  assert distance(heatmaps, COARSE, drawn[0][2]).max() < TOLERANCE


def test_crops_that_are_turned_against_each_other_give_nan(boxes, points):
  maps, matrix, _ = draw(COARSE, frame(COARSE, boxes), points)
  other = jnp.asarray(
    geometry.invert(frame(COARSE, boxes, turned(0.05))), jnp.float32
  )
  mean = ensemble.average_heatmaps([maps] * 2, [matrix, other], reference=0)
  assert np.isnan(mean).all()


def test_probabilities_keep_their_sum(boxes, points):
  maps = []
  for convention in (FINE, COARSE):
    drawn, matrix, _ = draw(convention, frame(convention, boxes), points)
    maps.append((drawn / drawn.sum((1, 2), keepdims=True), matrix))
  heatmaps, matrices = zip(*maps, strict=True)
  mean = ensemble.average_heatmaps(
    heatmaps, matrices, reference=0, keep_sum=True
  )
  # Lanczos' weights at a place sum to 1, those of a pixel nearly so; a map
  # taken as it is would have four times the sum.
  np.testing.assert_allclose(mean.sum((1, 2)), 1.0, atol=0.01)


def test_scales_change_the_padding_and_start_with_the_nearest_to_1():
  member = Predictor(None, {}, COARSE)
  found = ensemble.at_scales(member, [0.8, 1.0, 1.1])
  paddings = [one.convention.padding for one in found]
  assert paddings == pytest.approx([1.25, 1.25 * 1.1, 1.25 * 0.8])
  for wrong in ([], [1.0, 0.0], [np.nan]):
    with pytest.raises(ValueError, match="positive factors"):
      ensemble.at_scales(member, wrong)


def test_members_must_have_the_same_keypoints():
  swapped = dataclasses.replace(
    FACE, keypoint_names=("nose", "right_eye", "left_eye")
  )
  other = dataclasses.replace(COARSE, skeleton=swapped)
  with pytest.raises(ValueError, match="same keypoints in the same order"):
    ensemble.reference_index([COARSE, other])
  with pytest.raises(ValueError, match="'gaussian' and 'softmax'"):
    ensemble.reference_index([GAUSSIAN, SOFTMAX])


def test_shapes_that_do_not_belong_together():
  maps, matrix = jnp.zeros((2, 6, 5, 3)), jnp.zeros((2, 2, 3))
  with pytest.raises(ValueError, match="got 2 and 1"):
    ensemble.average_heatmaps([maps, maps], [matrix], reference=0)
  for wrong in (maps[..., :2], maps[:1]):
    with pytest.raises(ValueError, match="same people and keypoints"):
      ensemble.average_heatmaps([maps, wrong], [matrix] * 2, reference=0)


@pytest.mark.filterwarnings("ignore:.*:DeprecationWarning")
def test_the_chain_with_members_of_other_sizes(tmp_path):
  """Photographs of blobs, crops of two sizes at two scales, two frames."""
  folder = blobs.write(tmp_path)
  source = prepare.load(
    folder / "people.json", folder, cache_dir=folder / "cache"
  )
  conventions = (
    blobs.convention_of(source.skeleton, "hrnet"),
    blobs.convention_of(source.skeleton, "dark", crop_size=(192, 128)),
  )
  members = [
    member
    for convention in conventions
    for member in ensemble.at_scales(
      Predictor(blobs.Sampler(convention), {}, convention, flip_test=False),
      [1.0, 1.1],
    )
  ]
  batches = zip(
    *(
      pipeline.eval_batches(source, member.convention, batch_size=4)
      for member in members
    ),
    strict=True,
  )
  people = predict.predict_dataset(members, batches)
  assert people.annotation_ids.tolist() == [1, 2, 3, 4, 5, 6]
  # As test_evaluate.py has for one network, in px of 24 x 16 maps.
  assert blobs.error(people) < 0.03


@pytest.mark.filterwarnings("ignore:.*:DeprecationWarning")
def test_command(tmp_path, caplog):
  """`evaluate` with two checkpoints of different input sizes, off scale 1."""
  json_path = dataset.write_dataset(tmp_path, num_people=3, seed=2)
  fields = tiny_weights.network()
  variables = models.create_model(**fields).init(
    jax.random.key(0), jnp.zeros((1, 64, 64, 3))
  )
  for name, size in (("small", 64), ("large", 96)):
    convention = blobs.convention_of(
      skeletons.COCO, "dark", crop_size=(size, size)
    )
    checkpoint.save_variables(tmp_path / name, variables, convention, fields)
  with caplog.at_level(logging.INFO):
    done = commands.run(
      "evaluate",
      *(f"--checkpoint={tmp_path / name}" for name in ("small", "large")),
      "--scales=1.1",
      f"--annotations={json_path}",
      f"--images={tmp_path / 'images'}",
      f"--cache={tmp_path / 'cache'}",
      f"--results={tmp_path / 'results.json'}",
      "--methods=dark",
      "--noflip_test",
    )
  assert done.returncode == 0, done.stderr
  assert "2 members, averaged over the heatmaps of (24, 24)" in caplog.text
  results = json.loads((tmp_path / "results.json").read_text())
  assert len(results[0]["keypoints"]) == 3 * 17
