"""Evaluation end to end: crop, network, decoder, way back, scoring.

The "network" here samples the crop at the centres of heatmap pixels. Its images
hold one Gaussian blob per colour channel, centred on that channel's keypoint,
so that a chain whose parts agree finds every keypoint again.
"""

import dataclasses
import json
import os
import pathlib
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from configs import quickstart
from darkjax import (
  checkpoint,
  convention,
  evaluate,
  geometry,
  models,
  skeletons,
)
from darkjax.data import coco, pipeline, synthetic

pytestmark = pytest.mark.filterwarnings("ignore:.*:DeprecationWarning")

ROOT = pathlib.Path(__file__).resolve().parent.parent
CATEGORY = {"id": 1, "name": "blobs", "keypoints": ["red", "green", "blue"]}
BLOB_SIGMA = 8.0  # image px; about 2 px in the heatmaps


@dataclasses.dataclass(frozen=True)
class Sampler:
  """Heatmaps that are the crop's own colours, at the pixels of a heatmap."""

  convention: convention.Convention

  def apply(self, variables, images, *, train):
    """Undoes the normalisation and samples [B, H, W, 3] bilinearly."""
    del variables, train
    mean = np.float32(convention.PIXEL_MEAN)[None, None, None]
    std = np.float32(convention.PIXEL_STD)[None, None, None]
    rows, columns = (self._weights(axis) for axis in (1, 0))
    pixels = images * std + mean
    return jnp.einsum("yh,bhwc,xw->byxc", rows, pixels, columns)

  def _weights(self, axis) -> jax.Array:
    """[heatmap pixels, crop pixels] of an axis, 0 for x."""
    heatmap = self.convention.heatmap_size[1 - axis]
    crop = self.convention.crop_size[1 - axis]
    matrix = geometry.invert(self.convention.heatmap_from_crop())
    centers = matrix[axis, axis] * np.arange(heatmap) + matrix[axis, 2]
    distance = np.abs(centers[:, None] - np.arange(crop))
    return jnp.asarray(np.maximum(0, 1 - distance), jnp.float32)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
  """Five images of blobs, six people, in COCO's format."""
  root = tmp_path_factory.mktemp("blobs")
  rng = np.random.default_rng(5)
  images, people = [], []
  for i in range(1, 6):
    height, width = 130 + 10 * i, 260 - 10 * i
    pixels = np.zeros((height, width, 3))
    for _ in range(2 if i == 3 else 1):
      left = 110 * (len(people) == 3)
      points = rng.uniform((left + 25, 25), (left + 90, height - 25), (3, 2))
      pixels += blobs(points, height, width)
      people.append(person(len(people) + 1, i, points))
    path = f"{i}.png"
    Image.fromarray(np.uint8(np.round(pixels.clip(0, 255)))).save(root / path)
    images.append(
      {"id": i, "file_name": path, "height": height, "width": width}
    )
  content = {
    "images": images,
    "annotations": people,
    "categories": [CATEGORY],
  }
  (root / "people.json").write_text(json.dumps(content))
  return root


def blobs(points, height, width) -> np.ndarray:
  y, x = np.mgrid[:height, :width][..., None]
  square = (x - points[:, 0]) ** 2 + (y - points[:, 1]) ** 2
  return 250 * np.exp(-square / (2 * BLOB_SIGMA**2))


def person(annotation_id, image_id, points) -> dict:
  low, high = points.min(0) - 12, points.max(0) + 12
  flags = np.full((3, 1), 2)
  return {
    "id": annotation_id,
    "image_id": image_id,
    "category_id": 1,
    "iscrowd": 0,
    "bbox": [*low, *(high - low)],
    "area": float((high - low).prod()),
    "num_keypoints": 3,
    "keypoints": np.hstack([points, flags]).ravel().tolist(),
  }


def evaluated(folder, alignment, *, flip_shift=0, flip_test=True, size=4):
  source = coco.load(folder / "people.json", folder, cache_dir=folder / "cache")
  used = convention.from_config(
    {
      **quickstart.get_config().convention,
      "alignment": alignment,
      "flip_shift": flip_shift,
      "crop_size": (96, 64),
      "sigma": 2.0,
      "blur_kernel": 11,
    },
    skeleton=source.skeleton,
  )
  batches = pipeline.eval_batches(source, used, batch_size=size)
  return source, evaluate.predict(
    Sampler(used), {}, batches, used, flip_test=flip_test
  )


def error(people, method="dark") -> float:
  """Mean distance to the truth in px of the heatmaps, 24 x 16 in a box."""
  difference = people.keypoints[method] - people.truth
  pixel = np.sqrt(people.box_areas / (24 * 16))[:, None]
  return float((np.linalg.norm(difference, axis=-1) / pixel).mean())


@pytest.mark.parametrize("alignment", geometry.ALIGNMENTS)
def test_the_chain_finds_what_was_drawn(folder, alignment):
  source, people = evaluated(folder, alignment, flip_test=False)
  # Heatmap px. Bytes and two bilinear samplings blur and round; half a crop
  # pixel, the smallest mistake in a frame, would be 0.125.
  assert error(people) < 0.03
  metrics = evaluate.score(people, source.annotations, source.skeleton)
  assert metrics["dark/AP/gt_boxes"] == pytest.approx(100)
  assert (
    metrics["dark/error_px/gt_boxes"]
    < metrics["standard/error_px/gt_boxes"]
    < metrics["argmax/error_px/gt_boxes"]
  )


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
  assert error(people) == pytest.approx(expected, abs=0.03)


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


def test_methods_come_back_in_the_order_asked(folder):
  _, people = evaluated(folder, "dark")
  assert list(people.keypoints) == ["argmax", "standard", "dark"]


def test_table_has_a_row_per_method_and_says_the_boxes():
  text = evaluate.table(
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


def test_command(tmp_path):
  json_path = synthetic.write_dataset(tmp_path, num_people=5, seed=2)
  fields = {
    "name": "hrnet_small",
    "num_keypoints": 17,
    "channels": 4,
    "modules": [1],
    "blocks": 1,
  }
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
  done = subprocess.run(
    [
      *(sys.executable, "-m", "darkjax.evaluate"),
      f"--checkpoint={tmp_path / 'weights'}",
      f"--annotations={json_path}",
      f"--images={tmp_path / 'images'}",
      f"--cache={tmp_path / 'cache'}",
      f"--results={tmp_path / 'results.json'}",
      f"--picture={tmp_path / 'people.png'}",
      "--flip_shift=1",
    ],
    cwd=ROOT,
    env=os.environ | {"DARKJAX_CACHE": str(tmp_path / "home")},
    capture_output=True,
    text=True,
    check=False,
  )
  assert done.returncode == 0, done.stderr
  assert "not as trained: flip_shift: 1 here, 0 there" in done.stderr
  rows = [line.split()[0] for line in done.stdout.splitlines()[1:4]]
  assert rows == ["argmax", "standard", "dark"]
  results = json.loads((tmp_path / "results.json").read_text())
  assert 1 <= len(results) <= 5
  assert len(results[0]["keypoints"]) == 3 * 17
  with Image.open(tmp_path / "people.png") as picture:
    assert picture.width > picture.height
