"""Grid of decoder × alignment × flip shift for one network.

The paper's tables and the authors' code change encoder, decoder, alignment and
flip shift together; here each is varied alone. The alignment decides what a
crop shows, so each has its own crops and one run of the network over them and
their mirrors. Flip shifts and decoders share these heatmaps.
"""

import dataclasses
import functools
import pathlib
from collections.abc import Callable, Iterable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from darkjax import geometry, inference
from darkjax.convention import Convention
from darkjax.evaluate import predict as predict_lib
from darkjax.evaluate.scores import DatasetPredictions, score
from darkjax.inference.predictor import Predictor
from darkjax.runtime import devices

# Options of `inference.locate` by decoder. "dark" without modulation is a blur
# kernel of 1.
DECODERS = {
  "argmax": {"method": "argmax"},
  "standard": {"method": "standard"},
  "standard, Eq. 1": {"method": "standard", "standard": "eq1"},
  "dark, no modulation": {"method": "dark", "blur_kernel": 1},
  "dark": {"method": "dark"},
  "dark, official border": {"method": "dark", "border": "official"},
}
FLIP_SHIFTS = (0, 1)

Cell = tuple[str, int]  # alignment, flip shift
Batches = Iterable[dict[str, np.ndarray]]


def decoders(convention: Convention) -> dict[str, dict[str, Any]]:
  """Returns the decoders of a head; softmax maps can be integrated too."""
  if convention.head == "softmax":
    return DECODERS | {"integral": {"method": "integral"}}
  return DECODERS


def evaluate(
  predictor: Predictor,
  crops: Callable[[Convention], Batches],
  annotations: str | pathlib.Path,
  **options: Any,
) -> dict[Cell, dict[str, float]]:
  """Returns the metrics of every cell of the grid.

  Args:
    predictor: a network; the alignment and flip shift of its convention are not
      read.
    crops: convention -> this process's batches of all people, such as
      `functools.partial(batches.eval_batches, source, batch_size=64)`.
    annotations: the COCO-format json of these people.
    **options: of `scores.score`.

  Returns:
    By alignment and flip shift the metrics of `scores.score`, with the names of
    `decoders` for methods.
  """
  cells = {}
  for alignment in geometry.ALIGNMENTS:
    convention = dataclasses.replace(predictor.convention, alignment=alignment)
    aligned = dataclasses.replace(predictor, convention=convention)
    found = predict(aligned, crops(convention))
    for shift, people in found.items():
      cells[alignment, shift] = score(
        people, annotations, convention.skeleton, **options
      )
  return cells


def evaluate_trained(
  predictor: Predictor,
  crops: Callable[[Convention], Batches],
  annotations: str | pathlib.Path,
  **options: Any,
) -> dict[str, float]:
  """Returns the metrics of one cell, that of the network's own convention.

  Args and Returns: as of `evaluate`, of which this is a sixth.
  """
  convention = predictor.convention
  people = predict(predictor, crops(convention))[convention.flip_shift]
  return score(people, annotations, convention.skeleton, **options)


def predict(
  predictor: Predictor, batches: Batches
) -> dict[int, DatasetPredictions]:
  """Predicts everyone by every decoder, at every flip shift.

  Args:
    predictor: a network; its flip shift is not read.
    batches: of this process, cropped by the predictor's convention.

  Returns:
    By flip shift the people, whose methods are those of `decoders`.
  """
  # On the device nothing depends on these two: all alignments are one program.
  convention = dataclasses.replace(
    predictor.convention, alignment="dark", flip_shift=0
  )
  mapping = predict_lib.mapping_of(predictor)
  step = _step(predictor.model, convention, mapping)
  variables = devices.replicate(predictor.variables)
  rows = []
  for batch in batches:
    found = step(variables, (batch["image"], batch["image_from_heatmap"]))
    rows.append(
      {n: predict_lib.to_predictions(batch, found[n]) for n in FLIP_SHIFTS}
    )
  names = list(decoders(convention))
  return {
    shift: predict_lib.gather([row[shift] for row in rows], names)
    for shift in FLIP_SHIFTS
  }


@functools.lru_cache(maxsize=2)
def _step(model, convention, mapping):
  """(variables, images, matrices) -> {shift: {decoder: Keypoints}}, pmapped."""
  indices = convention.skeleton.flip_indices

  def step(variables, crops):
    images, image_from_heatmap = crops
    both = jnp.concatenate([images, images[:, :, ::-1]])
    heatmaps = inference.predict_heatmaps(
      model, variables, both, convention=convention, flip_test=False
    )
    straight, mirrored = jnp.split(heatmaps, 2)
    maps = [
      straight
      + inference.unflip_heatmaps(mirrored, flip_indices=indices, shift=n)
      for n in FLIP_SHIFTS
    ]
    # As one batch: the decoders take longer to compile than to run.
    found = _locate_all(
      jnp.concatenate(maps) / 2.0,
      jnp.concatenate([image_from_heatmap] * len(FLIP_SHIFTS)),
      convention,
    )
    split = functools.partial(jnp.split, indices_or_sections=len(FLIP_SHIFTS))
    return {
      n: jax.tree.map(lambda x, i=i: split(x)[i], found)
      for i, n in enumerate(FLIP_SHIFTS)
    }

  return devices.map_rows(step, mapping=mapping)


def _locate_all(heatmaps, image_from_heatmap, convention):
  """Returns the keypoints by decoder."""
  found = {}
  for name, options in decoders(convention).items():
    options = dict(options)
    kernel = options.pop("blur_kernel", convention.blur_kernel)
    found[name] = inference.locate(
      heatmaps,
      image_from_heatmap,
      convention=dataclasses.replace(convention, blur_kernel=kernel),
      **options,
    )
  return found
