"""The official loader that input is timed beside makes the crops we make."""

import dataclasses

import coco_folder
import numpy as np
import official_loader
import pytest
from conventions import make_convention

from darkjax.data.coco import prepare
from darkjax.data.pipeline import augment, batches
from darkjax.heatmaps import encode

CONVENTION = make_convention(coco_folder.DOLL, (80, 60))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
  """The json and the images of three people."""
  return coco_folder.write(tmp_path_factory.mktemp("dolls"))


@pytest.mark.parametrize("alignment", ["dark", "hrnet"])
def test_both_sides_make_the_same_examples(folder, tmp_path, alignment):
  convention = dataclasses.replace(CONVENTION, alignment=alignment)
  annotations, images = folder
  source = prepare.load(annotations, images, cache_dir=tmp_path)
  (batch,) = batches.eval_batches(source, convention, batch_size=3)
  loader = official_loader.Loader(convention, augment.NONE, seed=0)
  people = official_loader.people_of(source, images, convention)
  examples = [loader.example(person) for person in people]
  crops, _, targets, weights = map(np.stack, zip(*examples, strict=True))
  # Grey levels of OpenCV's warp.
  assert abs(crops.astype(int) - batch["image"]).max() <= 1
  np.testing.assert_array_equal(weights, batch["visibility"])
  drawn = encode.render_heatmaps(
    batch["keypoints_heatmap"], size=(20, 15), sigma=1.0
  )
  # The largest slope of a Gaussian, 0.6 per pixel, times the 1e-4 px to which
  # OpenCV's affine of three float32 points is right.
  np.testing.assert_allclose(targets, np.moveaxis(drawn, -1, 1), atol=1e-4)


def test_augmented_examples_are_finite_and_of_the_right_shapes(
  folder, tmp_path
):
  annotations, images = folder
  source = prepare.load(annotations, images, cache_dir=tmp_path)
  amount = augment.Augmentation(half_body_min_keypoints=2)
  loader = official_loader.Loader(CONVENTION, amount, seed=0)
  for person in 8 * official_loader.people_of(source, images, CONVENTION):
    crop, normalized, targets, weights = loader.example(person)
    assert crop.shape == (80, 60, 3)
    assert normalized.shape == (3, 80, 60)
    assert targets.shape == (3, 20, 15)
    assert np.isfinite(targets).all()
    np.testing.assert_array_equal(weights > 0, targets.max((1, 2)) > 0)
  assert min(loader.seconds.values()) > 0
