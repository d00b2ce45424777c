"""Evaluation end to end: crop, network, decoder, way back, scoring.

Most tests draw blobs and read them back, see blobs.py.
"""

import dataclasses
import json
import logging
import weakref

import blobs
import commands
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny_weights
from PIL import Image

from configs import quickstart
from darkjax import checkpoint, convention, geometry, models, skeletons
from darkjax.data.coco import prepare
from darkjax.data.images import exif
from darkjax.data.pipeline import batches as pipeline
from darkjax.data.synthetic import dataset
from darkjax.evaluate import predict, scores
from darkjax.inference.predictor import Predictor

pytestmark = pytest.mark.filterwarnings("ignore:.*:DeprecationWarning")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
  """Five images of blobs, six people, in COCO's format."""
  return blobs.write(tmp_path_factory.mktemp("blobs"))


def evaluated(
  folder, alignment, *, flip_shift=0, flip_test=True, size=4, upright=False
):
  source = prepare.load(
    folder / "people.json",
    folder,
    cache_dir=folder / "cache",
    upright=upright,
  )
  used = blobs.convention_of(source.skeleton, alignment, flip_shift=flip_shift)
  batches = pipeline.eval_batches(source, used, batch_size=size)
  predictor = Predictor(blobs.Sampler(used), {}, used, flip_test=flip_test)
  return source, predict.predict_dataset([predictor], zip(batches))


def test_sigmas_are_the_chosen_ones_and_a_difference_is_logged(caplog):
  ours = skeletons.COCO
  ten = tuple(10 * sigma for sigma in ours.sigmas)
  labels = dataclasses.replace(ours, sigmas=ten, limbs=())
  chosen = scores.choose_sigmas(ours, labels, "checkpoint")
  assert chosen == ours
  assert "are those of the checkpoint (nose 0.026, not 0.26" in caplog.text
  assert "--sigmas=labels uses those of the labels" in caplog.text
  caplog.clear()
  chosen = scores.choose_sigmas(ours, labels, "labels")
  assert chosen == dataclasses.replace(ours, sigmas=ten)
  assert "are those of the labels (nose 0.26, not 0.026" in caplog.text
  caplog.clear()
  for which in scores.SIGMAS:
    assert scores.choose_sigmas(ours, ours, which) == ours
    assert scores.choose_sigmas(ours, skeletons.LSP, which) == ours
  assert not caplog.text


@pytest.mark.parametrize("alignment", geometry.ALIGNMENTS)
def test_the_chain_finds_what_was_drawn(folder, alignment):
  source, people = evaluated(folder, alignment, flip_test=False)
  # Heatmap px. Bytes and two bilinear samplings blur and round; half a crop
  # pixel, the smallest mistake in a frame, would be 0.125.
  assert blobs.error(people) < 0.03
  metrics = scores.score(people, source.annotations, source.skeleton)
  assert metrics["dark/AP/gt_boxes"] == pytest.approx(100)
  assert (
    metrics["dark/error_px/gt_boxes"]
    < metrics["standard/error_px/gt_boxes"]
    < metrics["argmax/error_px/gt_boxes"]
  )


def test_labels_of_the_upright_picture_are_scored_as_such(folder, tmp_path):
  # The same pictures as a phone stores them: turned, with a tag that says so.
  for path in folder.glob("*.png"):
    orientation = 2 + int(path.stem)  # 3 to 7
    tag = Image.Exif()
    tag[0x0112] = orientation
    with Image.open(path) as image:
      stored = exif.turn_back(np.asarray(image), orientation)
    Image.fromarray(stored).save(tmp_path / path.name, exif=tag)
  (tmp_path / "people.json").write_text((folder / "people.json").read_text())
  _, plain = evaluated(folder, "dark")
  _, turned = evaluated(tmp_path, "dark", upright=True)
  np.testing.assert_array_equal(
    turned.keypoints["dark"], plain.keypoints["dark"]
  )
  with pytest.raises(ValueError, match=r"EXIF turns it.*give --upright"):
    evaluated(tmp_path, "dark")


@pytest.mark.parametrize(
  ("alignment", "flip_shift", "expected"),
  [
    ("dark", 0, 0.0),
    ("udp", 0, 0.0),
    # The mirrored map comes back 3/4 px to the left, with a shift 1/4 px to the
    # right; the average of both maps lies half way.
    ("hrnet", 0, 0.375),
    ("hrnet", 1, 0.125),
    ("dark", 1, 0.5),
  ],
)
def test_flip_test_moves_keypoints_as_geometry_says(
  folder, alignment, flip_shift, expected
):
  _, people = evaluated(folder, alignment, flip_shift=flip_shift)
  # 0.03 heatmap px as above.
  assert blobs.error(people) == pytest.approx(expected, abs=0.03)


@pytest.mark.parametrize("size", [2, 4, 6, 8])
def test_every_person_once_at_any_batch_size(folder, size):
  _, people = evaluated(folder, "dark", size=size)
  assert people.annotation_ids.tolist() == [1, 2, 3, 4, 5, 6]
  assert people.image_ids.tolist() == [1, 2, 3, 3, 4, 5]
  _, whole = evaluated(folder, "dark", size=6)
  # The same programs on other batches; 1e-3 px allows for float32 sums in
  # another order, at coordinates of hundreds.
  np.testing.assert_allclose(
    people.keypoints["dark"], whole.keypoints["dark"], atol=1e-3
  )


def test_no_image_is_kept(folder):
  source = prepare.load(
    folder / "people.json", folder, cache_dir=folder / "cache"
  )
  used = blobs.convention_of(source.skeleton, "dark")
  images, alive = [], []

  def batches():
    for _ in range(4):
      for batch in pipeline.eval_batches(source, used, batch_size=2):
        batch["image"] = batch["image"].copy()  # its own memory
        images.append(weakref.ref(batch["image"]))
        yield batch
        del batch
        alive.append(sum(image() is not None for image in images))

  predictor = Predictor(blobs.Sampler(used), {}, used)
  people = predict.predict_dataset([predictor], zip(batches()))
  assert len(people.image_ids) == 24
  # Of twelve batches the four in work, and what a thread has yet to let go;
  # all of them if images were kept.
  assert max(alive) <= 6


def test_methods_come_back_in_the_order_asked(folder):
  _, people = evaluated(folder, "dark")
  assert list(people.keypoints) == ["argmax", "standard", "dark"]


def test_table_has_a_row_per_method_and_says_the_boxes():
  text = scores.table(
    {
      "argmax/AP/gt_boxes": 61.2,
      "argmax/AR/gt_boxes": 68.7,
      "dark/AP/gt_boxes": 68.4,
      "dark/AR/gt_boxes": 74.9,
    }
  )
  assert text.split("\n") == [
    "           AP     AR",
    "argmax  61.20  68.70",
    "  dark  68.40  74.90",
    "boxes: gt_boxes",
  ]


def test_command(tmp_path, caplog):
  json_path = dataset.write_dataset(tmp_path, num_people=5, seed=2)
  fields = tiny_weights.network()
  variables = models.create_model(**fields).init(
    jax.random.key(0), jnp.zeros((1, 64, 64, 3))
  )
  config = quickstart.get_config().convention
  config.crop_size = (64, 64)
  checkpoint.save_variables(
    tmp_path / "weights",
    variables,
    convention.from_config(config, skeleton=skeletons.COCO),
    fields,
  )
  with caplog.at_level(logging.INFO):
    done = commands.run(
      "evaluate",
      f"--checkpoint={tmp_path / 'weights'}",
      f"--annotations={json_path}",
      f"--images={tmp_path / 'images'}",
      f"--cache={tmp_path / 'cache'}",
      f"--results={tmp_path / 'results.json'}",
      f"--metrics={tmp_path / 'metrics.json'}",
      f"--picture={tmp_path / 'people.png'}",
      "--flip_shift=1",
    )
  assert done.returncode == 0, done.stderr
  assert "not as trained: flip_shift: 1 here, 0 there" in caplog.text
  rows = [line.split()[0] for line in done.stdout.splitlines()[1:4]]
  assert rows == ["argmax", "standard", "dark"]
  metrics = json.loads((tmp_path / "metrics.json").read_text())
  shown = done.stdout.splitlines()[3].split()[1]
  assert f"{metrics['dark/AP/gt_boxes']:.2f}" == shown
  results = json.loads((tmp_path / "results.json").read_text())
  assert 1 <= len(results) <= 5
  assert len(results[0]["keypoints"]) == 3 * 17
  with Image.open(tmp_path / "people.png") as picture:
    assert picture.width > picture.height
