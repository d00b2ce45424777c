"""Evaluation of a run's validation set while it trains."""

import functools
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
  """Scores of a network by name, and a picture of people with predictions."""

  metrics: dict[str, float]
  picture: Image.Image | None = None


# (model, variables) -> its scores on the validation set.
Evaluate = Callable[[Any, Any], Evaluation]


def evaluate(
  model: Any,
  variables: Any,
  *,
  config: ml_collections.ConfigDict,
  data: RunData,
  pages: jax.Array | None = None,
) -> Evaluation:
  """Scores a network on `data.val`; `pages` as in `device_crop.on_host`."""
  val, convention = data.val, data.convention
  crop = functools.partial(
    device_crop.on_host,
    pages=pages,
    crop_size=convention.crop_size,
    mapping=config.train.mapping,
  )
  people_of_process = -(-config.evaluate.batch_size // jax.process_count())
  predictor = Predictor(
    model, variables, convention, flip_test=config.evaluate.flip_test
  )
  predictions = predict.predict_dataset(
    [predictor],
    ([crop(batch)] for batch in data.val_batches(people_of_process)),
    methods=config.evaluate.methods,
    mapping=config.train.mapping,
  )
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
    predictions, convention.skeleton, val.annotations, images, val.upright
  )
  return Evaluation(metrics, picture)
