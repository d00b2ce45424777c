"""Reads one trained network by every decoder: a step of scripts/reproduce.py.

    python -m reproduction.scores --run=RUN --out=scores.json

The validation set of the run's configuration, one pass over it and its mirror
images, under the convention the network was trained with.
"""

import functools
import json
import pathlib
import time
from collections.abc import Sequence

import ablation_grid
from absl import app, flags

from darkjax.inference.predictor import Predictor
from darkjax.runtime import startup


def scores(run: str) -> dict:
  """What is known of the latest checkpoint.

  Args:
    run: workdir of the training.

  Returns:
    "metrics" as `scoring.score` names them, "convention" in words, "people",
    and "evaluation_seconds".
  """
  from darkjax.data.coco import prepare  # TensorFlow
  from darkjax.data.pipeline import batches

  start = time.monotonic()
  predictor = Predictor.from_checkpoint(run)
  data = predictor.config["data"]
  annotations, images = (pathlib.Path(data["root"]) / p for p in data["val"])
  source = prepare.load(annotations, images, cache_dir=data["cache"])
  crops = functools.partial(batches.eval_batches, source, batch_size=80)
  metrics = ablation_grid.evaluate_trained(predictor, crops, source.annotations)
  return {
    "metrics": {
      name.removesuffix("/gt_boxes"): value for name, value in metrics.items()
    },
    "convention": predictor.convention.describe(),
    "people": source.num_people,
    "evaluation_seconds": round(time.monotonic() - start, 1),
  }


def main(argv: Sequence[str]) -> None:
  """Writes the json."""
  del argv
  startup.start()
  pathlib.Path(flags.FLAGS.out).write_text(
    json.dumps(scores(flags.FLAGS.run), indent=2)
  )


if __name__ == "__main__":
  flags.DEFINE_string("run", None, "Workdir of the training.", required=True)
  flags.DEFINE_string("out", None, "Json to write.", required=True)
  app.run(main)
