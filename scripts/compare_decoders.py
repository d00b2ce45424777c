r"""Comparison of the decoders on a trained network's heatmaps.

    python scripts/compare_decoders.py --checkpoint=runs/quickstart

runs the network once over the people the run was evaluated on and reads the
same heatmaps with every decoder, and with DARK at several sizes of the blur.
Prints one markdown row each; the columns are shares and means over all labelled
keypoints inside the map:

  mean         error in image px
  near         error in heatmap px, over keypoints whose maximum is within 2
               heatmap px of the label: what a decoder can do something about
  <= 0.25 px   share of keypoints with at most that error, heatmap px
  <= 0.5 px    the same

--heatmaps=FILE.npz also writes the maps as PyTorch has them, [N, K, H, W], with
the labels in heatmap px, to try decoders elsewhere.
"""

import pathlib
from typing import Any, NamedTuple

import jax
import numpy as np

from darkjax import checkpoint, convention, geometry, inference, models
from darkjax.data import from_config
from darkjax.heatmaps.decode import decode_heatmaps
from darkjax.runtime import command, startup

NEAR = 2.0  # heatmap px from the label: right but for the fraction
KERNELS = (1, 3, 5, 7, 11)
HEADER = ("decoder", "mean", "near", "<= 0.25 px", "<= 0.5 px")


class Maps(NamedTuple):
  """The heatmaps of N people and their labels."""

  heatmaps: np.ndarray  # [N, H, W, K] float32
  truth: np.ndarray  # [N, K, 2] labels, heatmap px
  labelled: np.ndarray  # [N, K] bool, and inside the map
  image_from_heatmap: np.ndarray  # [N, 2, 3], px
  image_ids: np.ndarray  # [N]
  convention: convention.Convention  # of the network

  def to_image(self, points: np.ndarray) -> np.ndarray:
    """Maps points [N, K, 2] of the heatmaps to the images' px."""
    return np.asarray(geometry.apply_affine(self.image_from_heatmap, points))


def predict_maps(
  directory: str,
  annotations: str | pathlib.Path,
  images: str | pathlib.Path,
  *,
  batch_size: int = 50,
) -> Maps:
  """Runs a checkpoint over the labelled people of a COCO-format json."""
  from darkjax.data.coco import prepare  # TensorFlow
  from darkjax.data.pipeline import batches as pipeline

  variables, metadata = checkpoint.load(directory)
  model = models.create_model(**metadata.model)
  # As an argument, weights are not constants of the program.
  predict = jax.jit(
    lambda weights, crops: inference.predict_heatmaps(
      model, weights, crops, convention=metadata.convention, flip_test=True
    )
  )
  batches = pipeline.eval_batches(
    prepare.load(
      annotations,
      images,
      category=from_config.validation_category(metadata.config),
      upright=from_config.validation_upright(metadata.config),
    ),
    metadata.convention,
    batch_size=batch_size,
  )
  fields = ("keypoints_heatmap", "visibility", "image_from_heatmap", "image_id")
  rows = []
  for batch in batches:
    heatmaps = np.asarray(predict(variables, batch["image"]))
    columns = heatmaps, *(batch[name] for name in fields)
    rows.append([column[batch["mask"] > 0] for column in columns])
  heatmaps, truth, visibility, *rest = map(
    np.concatenate, zip(*rows, strict=True)
  )
  last = np.array(heatmaps.shape[2:0:-1]) - 1
  with np.errstate(invalid="ignore"):  # unlabelled points are nan
    inside = ((truth >= 0) & (truth <= last)).all(-1)
  labelled = (visibility > 0) & inside
  return Maps(heatmaps, truth, labelled, *rest, metadata.convention)


def decoders(blur_kernel: int) -> dict[str, dict[str, Any]]:
  """Returns the options of decode_heatmaps by the name of the row."""
  rows = {
    "argmax": {"method": "argmax"},
    "standard, sign": {"method": "standard"},
    "standard, Eq. 1": {"method": "standard", "standard": "eq1"},
    "DARK, official": {"border": "official", "blur_kernel": blur_kernel},
  }
  kernels = {f"DARK, k = {k}": {"blur_kernel": k} for k in KERNELS}
  return rows | kernels


def errors(maps: Maps) -> dict[str, tuple[np.ndarray, np.ndarray]]:
  """Returns errors [M] of the labelled keypoints, heatmap and image px."""
  truth = maps.to_image(maps.truth)
  measured = {}
  for name, options in decoders(maps.convention.blur_kernel).items():
    points = np.asarray(decode_heatmaps(maps.heatmaps, **options).keypoints)
    measured[name] = tuple(
      np.linalg.norm(a - b, axis=-1)[maps.labelled]
      for a, b in ((points, maps.truth), (maps.to_image(points), truth))
    )
  return measured


def rows(maps: Maps) -> list[tuple[str, ...]]:
  """Returns the table's rows, formatted."""
  measured = errors(maps)
  near = measured["argmax"][0] <= NEAR
  return [
    (
      name,
      f"{image.mean():.2f}",
      f"{heatmap[near].mean():.3f}",
      *(f"{100 * (heatmap <= most).mean():.1f} %" for most in (0.25, 0.5)),
    )
    for name, (heatmap, image) in measured.items()
  ]


def write_heatmaps(path: str, maps: Maps) -> None:
  """Writes [N, K, H, W] heatmaps and their labels, see the module."""
  np.savez(
    path,
    heatmaps=np.ascontiguousarray(maps.heatmaps.transpose(0, 3, 1, 2)),
    keypoints=maps.truth,
    labelled=maps.labelled,
  )


def data_paths(
  directory: str, root: str | None
) -> tuple[pathlib.Path, pathlib.Path]:
  """Returns the annotations and images that a run was evaluated on."""
  config = checkpoint.load(directory)[1].config
  return from_config.validation_paths(directory, config, root=root)


def main(flags: command.Flags, _) -> None:
  """Prints the table; see the flags."""
  startup.start()
  paths = data_paths(flags.checkpoint, flags.root)
  maps = predict_maps(flags.checkpoint, *paths)
  near = errors(maps)["argmax"][0] <= NEAR
  print(
    f"{len(maps.heatmaps)} people, {maps.labelled.sum()} keypoints, "
    f"{near.sum()} of them near"
  )
  for row in (HEADER, ("---",) * len(HEADER), *rows(maps)):
    print("| " + " | ".join(row) + " |")
  if flags.heatmaps:
    write_heatmaps(flags.heatmaps, maps)


def define_flags(define: command.Define) -> None:
  """Adds the flags of the command."""
  define.string("checkpoint", None, "Folder of a run.", required=True)
  define.string("root", None, "Folder of the run's data, where it has moved.")
  define.string("heatmaps", None, "Write the maps to this .npz file.")


if __name__ == "__main__":
  command.run(main, define_flags)
