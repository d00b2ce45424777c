r"""Draws every picture of the README and of docs/, except plots of results.

    python scripts/make_figures.py --checkpoint=runs/quickstart \
        --learnt=runs/learnt

Without --checkpoint and --learnt, only those that need no training. The first
is the quickstart's run, the second a network overfitted to 60 synthetic people,
whose remaining error is the decoder's. For both runs and the pictures: bash
scripts/figures.sh.

The pictures show synthetic people and heatmaps of them, the people that a run
was evaluated on, and one photograph that is in the public domain. Needs
`pip install darkjax[figures]`.
"""

import json
import pathlib
from collections.abc import Callable
from typing import Any

import compare_decoders
import figures
import numpy as np
import page_figures
import PIL.Image

from darkjax import Pose, inference
from darkjax.heatmaps.decode import decode_heatmaps
from darkjax.predict import boxes
from darkjax.runtime import command, startup
from darkjax.viz import contact_sheet

JPEG_QUALITY = 78
TILE = (330, 222)  # height, width, px
SURE = 0.3  # score
VERY_SURE = 0.5
PHOTOGRAPHS = pathlib.Path(__file__).parents[1] / "docs" / "photographs"
WHOLE = 14  # labelled keypoints of a person who is seen whole, or nearly


def photograph() -> PIL.Image.Image:
  """Draws a photograph with the keypoints the shipped weights are sure of."""
  path = PHOTOGRAPHS / "astronaut.jpg"
  pose = Pose.pretrained()
  skeleton = pose.convention.skeleton
  file = boxes.read(PHOTOGRAPHS / "boxes.json", skeleton=skeleton)
  people, _ = file.of(path.name)
  return pose(path, people).plot(min_score=VERY_SURE)


DRAWINGS: dict[str, Callable[[], PIL.Image.Image]] = {
  "astronaut.jpg": photograph,
  "quantization.png": lambda: figures.quantization((3.7, 2.6)),
  "taylor.png": page_figures.taylor,
  "kernels.png": page_figures.kernels,
  "border.png": page_figures.border,
  "flip_shift.png": page_figures.flip_shift,
}


class Predictions:
  """A network's predictions for the people it was evaluated on."""

  def __init__(self, directory: str):
    paths = compare_decoders.data_paths(directory, None)
    self.maps = compare_decoders.predict_maps(directory, *paths)
    self.annotations, self.images = map(pathlib.Path, paths)
    self.skeleton = self.maps.convention.skeleton
    self.truth = self.maps.to_image(self.maps.truth)
    self.keypoints = {
      method: inference.locate(
        self.maps.heatmaps,
        self.maps.image_from_heatmap.astype(np.float32),
        convention=self.maps.convention,
        method=method,
      )
      for method in figures.METHODS
    }
    content = json.loads(self.annotations.read_text())
    self._names = {i["id"]: i["file_name"] for i in content["images"]}

  def near(self, most: float = compare_decoders.NEAR) -> np.ndarray:
    """Returns [N, K]: labelled, with the maximum within `most` cells."""
    maxima = decode_heatmaps(self.maps.heatmaps, method="argmax").keypoints
    distance = np.linalg.norm(maxima - self.maps.truth, axis=-1)
    return self.maps.labelled & (distance <= most)

  def tile(self, n: int, **options: Any) -> PIL.Image.Image:
    """Draws person n with DARK's keypoints, see `contact_sheet.draw_person`."""
    name = self._names[int(self.maps.image_ids[n])]
    return contact_sheet.draw_person(
      PIL.Image.open(self.images / name).convert("RGB"),
      np.asarray(self.keypoints["dark"].keypoints_image[n]),
      self.skeleton,
      truth=self.truth[n],
      visible=self.maps.labelled[n],
      size=TILE,
      **options,
    )


def quickstart(run: Predictions) -> PIL.Image.Image:
  """Draws people of the evaluation: the README's first picture."""
  return contact_sheet.draw_people(
    np.asarray(run.keypoints["dark"].keypoints_image),
    run.skeleton,
    image_ids=run.maps.image_ids,
    truth=run.truth,
    visible=run.maps.labelled,
    annotations=run.annotations,
    images=run.images,
  )


def comparison(run: Predictions, count: int = 4) -> PIL.Image.Image:
  """Draws DARK over the maximum, as in the paper's Fig. 5.

  Of the people who show most keypoints, each found within two cells of its
  label, evenly picked: elsewhere the network's mistakes hide the decoder's.
  """
  near, labelled = run.near(), run.maps.labelled
  right = (near == labelled).all(-1) & (labelled.sum(-1) >= WHOLE)
  maxima = np.asarray(run.keypoints["argmax"].keypoints_image)
  people = [
    run.tile(n, baseline=maxima[n])
    for n in evenly(np.flatnonzero(right), count)
  ]
  return contact_sheet.contact_sheet(people, columns=count)


def modulation(run: Predictions, count: int = 4) -> PIL.Image.Image:
  """Draws maps on which the blur moves DARK's point most.

  Of keypoints that the network is sure of and whose maximum is within a cell.
  """
  maps = run.maps
  with_blur, without = (
    np.asarray(decode_heatmaps(maps.heatmaps, blur_kernel=kernel).keypoints)
    for kernel in (maps.convention.blur_kernel, 1)
  )
  moved = np.linalg.norm(with_blur - without, axis=-1)
  sure = run.near(1.0) & (maps.heatmaps.max((1, 2)) >= SURE)
  moved = np.where(sure, moved, 0)
  keypoints = np.argsort(-moved.max(0))[:count]
  chosen = [(moved[:, k].argmax(), k) for k in keypoints]
  return figures.modulation(
    np.stack([maps.heatmaps[n, ..., k] for n, k in chosen]),
    blur_kernel=maps.convention.blur_kernel,
    names=[run.skeleton.keypoint_names[k] for k in keypoints],
    truth=np.stack([maps.truth[n, k] for n, k in chosen]),
  )


def uncertainty(run: Predictions, count: int = 4) -> PIL.Image.Image:
  """Draws ellipses of one standard deviation on people evenly picked."""
  whole = np.flatnonzero(run.maps.labelled.sum(-1) >= WHOLE)
  dark = run.keypoints["dark"]
  people = [
    run.tile(n, covariances=np.asarray(dark.covariances[n]))
    for n in evenly(whole, count)
  ]
  return contact_sheet.contact_sheet(people, columns=count)


def gain(run: Predictions) -> PIL.Image.Image:
  """Plots the share of keypoints within a distance, by decoder."""
  measured = compare_decoders.errors(run.maps)
  kernel = run.maps.convention.blur_kernel
  rows = {
    "maximum": "argmax",
    "standard": "standard, sign",
    "DARK": f"DARK, k = {kernel}",
  }
  return page_figures.gain(
    {name: measured[row][0] for name, row in rows.items()}
  )


# By the flag that names the run.
PICTURES: dict[str, dict[str, Callable[[Predictions], PIL.Image.Image]]] = {
  "checkpoint": {
    "quickstart.jpg": quickstart,
    "modulation.png": modulation,
    "uncertainty.jpg": uncertainty,
    "gain.png": gain,
  },
  "learnt": {"comparison.jpg": comparison},
}


def evenly(items: np.ndarray, count: int) -> np.ndarray:
  """Returns `count` of the items, from the first to the last."""
  places = np.linspace(0, len(items) - 1, min(count, len(items)))
  return items[places.astype(int)]


def save(picture: PIL.Image.Image, path: pathlib.Path) -> None:
  """Writes a picture into a small file."""
  if path.suffix == ".png":
    picture = picture.quantize(256)
  picture.save(path, optimize=True, quality=JPEG_QUALITY)
  print(f"{path}: {picture.width} x {picture.height}, {path.stat().st_size} B")


def main(flags: command.Flags, _) -> None:
  """Writes the pictures; see the flags."""
  startup.start()
  out = pathlib.Path(flags.out)
  out.mkdir(parents=True, exist_ok=True)
  for name, draw in DRAWINGS.items():
    save(draw(), out / name)
  for run, pictures in PICTURES.items():
    if flags[run].value:
      people = Predictions(flags[run].value)
      for name, draw in pictures.items():
        save(draw(people), out / name)


def define_flags(define: command.Define) -> None:
  """Adds the flags of the command."""
  define.string("out", "docs", "Folder of the pictures.")
  define.string("checkpoint", None, "The quickstart's run.")
  define.string("learnt", None, "A run overfitted to synthetic people.")


if __name__ == "__main__":
  command.run(main, define_flags)
