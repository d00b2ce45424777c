"""Evaluation of a run's validation set while it trains."""

import pathlib
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import ml_collections
from PIL import Image

from darkjax.data.from_config import RunData
from darkjax.evaluate import pictures, predict, scores
from darkjax.inference.predictor import Predictor
from darkjax.train import device_crop


class Evaluation(NamedTuple):
  """Scores of a network.

  Attributes:
    metrics: by name, see `scores.score`.
    picture: people with their labels and predictions; None without one.
  """

  metrics: dict[str, float]
  picture: Image.Image | None = None


# (model, variables) -> its scores on the validation set.
Evaluate = Callable[[Any, Any], Evaluation]


def evaluator(
  config: ml_collections.ConfigDict,
  data: RunData,
  pages: jax.Array | None = None,
) -> Evaluate:
  """Returns the function that scores a network on `data.val`.

  Args:
    config: says how to evaluate.
    data: of the run.
    pages: the canvases on the devices, see device_pack.py; None where batches
      bring their images.
  """
  crop_size = data.convention.crop_size

  def evaluate(model: Any, variables: Any) -> Evaluation:
    batches = data.val_batches(
      -(-config.evaluate.batch_size // jax.process_count())
    )
    flip_test = config.evaluate.flip_test
    predictions = predict.predict_dataset(
      [Predictor(model, variables, data.convention, flip_test=flip_test)],
      ([device_crop.on_host(b, pages, crop_size=crop_size)] for b in batches),
      methods=config.evaluate.methods,
    )
    return _score(config, data, predictions)

  return evaluate


def _score(
  config, data: RunData, predictions: scores.Predictions
) -> Evaluation:
  val, convention = data.val, data.convention
  val.check_labels()
  metrics = scores.score(
    predictions,
    val.annotations,
    convention.skeleton,
    category_ids=val.category_ids,
    box_source=val.box_source,
    nms=config.evaluate.nms,
  )
  if jax.process_index() > 0:
    return Evaluation(metrics)
  images = pathlib.Path(config.data.root) / config.data.val[1]
  picture = pictures.draw_predictions(
    predictions, convention.skeleton, val.annotations, images
  )
  return Evaluation(metrics, picture)
