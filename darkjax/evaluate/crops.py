"""Crops of a data set's people, for networks that may differ in their input."""

from collections.abc import Iterator, Sequence
from typing import Any

import jax
from tqdm import tqdm

from darkjax.evaluate.predict import Batch
from darkjax.inference.predictor import Predictor


def read_batches(
  dataset: Any, predictors: Sequence[Predictor], batch_size: int
) -> Iterator[tuple[Batch, ...]]:
  """Reads every predictor's crops of the same people, with a progress bar."""
  from darkjax.data.pipeline import batches as pipeline  # TensorFlow

  processes = jax.process_count()
  batch_size = -(-batch_size // processes)
  batches = [
    pipeline.eval_batches(
      dataset,
      predictor.convention,
      batch_size=batch_size,
      process_index=jax.process_index(),
      process_count=processes,
    )
    for predictor in predictors
  ]
  return tqdm(
    zip(*batches, strict=True),
    total=-(-dataset.num_people // (batch_size * processes)),
    unit="batch",
    disable=jax.process_index() > 0 or None,  # None: if there is no terminal
  )
