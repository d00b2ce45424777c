"""How much memory an evaluation takes: bytes of each person, and no image.

  python scripts/evaluation_memory.py --people=10000 --people=100000

Evaluates as many made-up people as asked for, 128x96 crops through a network of
one convolution with flip test and all decoders, then scores them. A crop and
its heatmaps take 89 kB, so that keeping them for 100,000 people would take
8.5 GiB. Prints one line of json for each number of people, in rising order:
resident memory before, at the end of the predictions and, at its peak, of the
scoring (MiB), and the bytes of a person that predictions should hold.
"""

import json
import pathlib
import resource
import tempfile
from collections.abc import Iterator

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import psutil
import unbiased
from absl import app, flags

from darkjax import skeletons
from darkjax.evaluate import predict, scores
from darkjax.inference.predictor import Predictor
from darkjax.runtime import startup

SKELETON = skeletons.COCO
CONVENTION = unbiased.make_convention(skeleton=SKELETON)
BATCH_SIZE = 100
PEOPLE_PER_IMAGE = 4
BOX = (50.0, 20.0, 96.0, 128.0)  # x, y, w, h, image px
MIB = 2**20


class Network(nn.Module):
  """Heatmaps by one convolution of stride 4."""

  @nn.compact
  def __call__(self, images, train=False):
    """Crops [B, H, W, 3] -> heatmaps [B, H/4, W/4, K]."""
    return nn.Conv(SKELETON.num_keypoints, (4, 4), (4, 4))(images)


def make_batches(people: int) -> Iterator[dict[str, np.ndarray]]:
  """Batches as data/schema.py says, each with arrays of its own."""
  rng = np.random.default_rng(0)
  size, shape = BATCH_SIZE, (BATCH_SIZE, SKELETON.num_keypoints)
  pixels = rng.integers(0, 256, (size, *CONVENTION.crop_size, 3), np.uint8)
  matrix = np.float32([[4, 0, BOX[0]], [0, 4, BOX[1]]])
  for start in range(0, people, size):
    ids = np.arange(start, start + size)
    yield {
      "image": pixels.copy(),
      "keypoints_heatmap": rng.uniform(0, 24, (*shape, 2)).astype("f4"),
      "visibility": np.ones(shape, np.float32),
      "image_from_heatmap": np.tile(matrix, (size, 1, 1)),
      "mask": (ids < people).astype(np.float32),
      "image_id": ids // PEOPLE_PER_IMAGE,
      "annotation_id": ids,
      "score": np.ones(size, np.float32),
      "box_area": np.full(size, BOX[2] * BOX[3], np.float32),
    }


def write_labels(path: pathlib.Path, found: scores.Predictions) -> None:
  """The json that the people are scored against."""
  points = np.dstack([found.truth, 2 * found.visible]).round(2)
  people = [
    {
      "id": int(person),
      "image_id": int(image),
      "category_id": 1,
      "iscrowd": 0,
      "bbox": BOX,
      "area": BOX[2] * BOX[3],
      "num_keypoints": SKELETON.num_keypoints,
      "keypoints": keypoints.ravel().tolist(),
    }
    for person, image, keypoints in zip(
      found.annotation_ids, found.image_ids, points, strict=True
    )
  ]
  images = [{"id": int(i)} for i in np.unique(found.image_ids)]
  categories = [{"id": 1, "name": "person"}]
  with path.open("w") as file:
    json.dump(
      {"images": images, "annotations": people, "categories": categories}, file
    )


def resident_mib() -> float:
  """Memory of this process now."""
  return psutil.Process().memory_info().rss / MIB


def peak_mib() -> float:
  """The most memory this process ever had."""
  return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measure(people: int) -> dict[str, float]:
  """Evaluates `people` and says what it took."""
  model = Network()
  images = jnp.zeros((1, *CONVENTION.crop_size, 3))
  variables = {"batch_stats": {}} | model.init(jax.random.key(0), images)
  before = resident_mib()
  predictor = Predictor(model, variables, CONVENTION)
  found = predict.predict_dataset([predictor], zip(make_batches(people)))
  predicted, peak = resident_mib(), peak_mib()
  size = sum(column.nbytes for column in jax.tree.leaves(found))
  with tempfile.TemporaryDirectory() as folder:
    labels = pathlib.Path(folder) / "labels.json"
    write_labels(labels, found)
    scores.score(found, labels, SKELETON)
  return {
    "people": len(found.image_ids),
    "before_mib": round(before),
    "predicted_mib": round(predicted),
    "predicting_peak_mib": round(peak),
    "scoring_peak_mib": round(peak_mib()),
    "bytes_per_person": size / people,
  }


def main(argv) -> None:
  """Measures each number of people, the smallest first."""
  del argv
  startup.start()
  for people in sorted(map(int, flags.FLAGS.people)):
    print(json.dumps(measure(people)), flush=True)


if __name__ == "__main__":
  flags.DEFINE_multi_integer("people", [10_000, 100_000], "How many.")
  app.run(main)
