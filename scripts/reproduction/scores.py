"""Scores of a trained network by every decoder: a step of reproduce.py.

    python -m reproduction.scores --run=RUN --out=scores.json

The validation set of the run's configuration, one pass over it and its mirror
images, under the convention the network was trained with.
"""

import functools
import json
import pathlib
import time

import ablation_grid
import ml_collections

from darkjax.data import from_config
from darkjax.inference.predictor import Predictor
from darkjax.runtime import command, startup


def scores(run: str) -> dict:
  """Returns the scores of a run's latest checkpoint.

  Returns:
    "metrics" as `scores.score` names them, "convention" in words, "people",
    and "evaluation_seconds".
  """
  from darkjax.data.pipeline import batches  # TensorFlow

  start = time.monotonic()
  predictor = Predictor.from_checkpoint(run)
  source = from_config.prepare_validation(
    ml_collections.ConfigDict(predictor.config), 0.0
  )
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


def main(flags: command.Flags, _) -> None:
  """Writes the json."""
  startup.start()
  text = json.dumps(scores(flags.run), indent=2)
  pathlib.Path(flags.out).write_text(text)


def define_flags(define: command.Define) -> None:
  """Adds the flags of the command."""
  define.string("run", None, "Workdir of the training.", required=True)
  define.string("out", None, "Json to write.", required=True)


if __name__ == "__main__":
  command.run(main, define_flags)
