"""A training run of six steps on made-up batches, in memory."""

import json

import jax
import numpy as np
from tiny_config import OVERRIDES

from configs import quickstart
from darkjax import convention as convention_lib
from darkjax import skeletons
from darkjax.train import loop
from darkjax.train.evaluation import Evaluation
from darkjax.train.run import TrainingData

SIZE = (64, 64)
KEYPOINTS = skeletons.COCO.num_keypoints


def tiny_config(**optimizer):
  config = quickstart.get_config()
  config.convention.crop_size = SIZE
  config.model.overrides.update(OVERRIDES)
  config.train.batch_size = 4
  config.train.epochs = 3
  config.train.update(log_every_steps=1, evaluate_every_epochs=2)
  config.train.checkpoint_every_epochs = 1
  config.evaluate.batch_size = 4
  config.optimizer.update(optimizer)
  return config


def batch(step: int) -> dict[str, np.ndarray]:
  """Four people, a function of the step."""
  rng = np.random.default_rng(step)
  matrix = np.float32([[4, 0, 10], [0, 4, 20]])
  return {
    "image": rng.integers(0, 255, (4, *SIZE, 3)).astype(np.uint8),
    "keypoints_heatmap": rng.uniform(2, 13, (4, KEYPOINTS, 2)).astype("f4"),
    "visibility": np.ones((4, KEYPOINTS), np.float32),
    "image_from_heatmap": np.tile(matrix, (4, 1, 1)),
    "mask": np.ones(4, np.float32),
    "image_id": np.arange(4),
    "annotation_id": 100 + np.arange(4),
    "score": np.ones(4, np.float32),
    "box_area": np.full(4, 4096, np.float32),
  }


def batches(start: int):
  step = start
  while True:
    yield batch(step)
    step += 1


def stopping_at(last: int):
  """Batches that break off like a killed run after `last` steps."""

  def stream(start):
    for step, one in enumerate(batches(start), start):
      if step == last:
        raise KeyboardInterrupt
      yield one

  return stream


def fit(
  config,
  workdir,
  stream=batches,
  *,
  before=lambda: None,
  stop=None,
  skeleton=skeletons.COCO,
  scores=None,
):
  """(metrics, variables of each evaluation); `before` runs before each.

  `scores` are the values of AP, one per evaluation.
  """
  convention = convention_lib.from_config(config.convention, skeleton=skeleton)
  scored = []

  def evaluate(model, variables):
    before()
    scored.append(variables)
    weights = variables["params"]["final_layer"]["kernel"]
    if scores is not None:
      return Evaluation({"dark/AP/gt_boxes": scores[len(scored) - 1]})
    return Evaluation({"dark/AP/gt_boxes": float(abs(weights).sum())})

  data = TrainingData(convention, stream, evaluate, steps_per_epoch=2)
  metrics = loop.fit(config, workdir, data, stop=stop)
  return metrics, scored


def log(workdir) -> list[dict]:
  """Lines of metrics.jsonl without the speed, which differs by nature."""
  lines = map(json.loads, (workdir / "metrics.jsonl").read_text().splitlines())
  return [
    {name: value for name, value in line.items() if "per_second" not in name}
    for line in lines
  ]


def assert_same_bits(one, other):
  jax.tree.map(np.testing.assert_array_equal, one, other)
