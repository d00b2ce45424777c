"""Accuracy that the coordinate representation alone costs, on COCO.

    python scripts/codec_oracle.py --annotations=person_keypoints_val2017.json

Draws the labelled keypoints of every person into heatmaps, as a perfect model
would predict them, decodes these, maps the points back to image pixels and
scores them against the labels. Whatever is lost to AP 100 and an error of 0 is
lost by encoder and decoder. Prints one markdown row for each input
size, encoder and decoder:

  AP          pycocotools, boxes from the labels, all labelled people
  mean, p99, max   error in heatmap px, over labelled keypoints in the map
  all         mean error over all labelled keypoints, also outside the map

With --noise=0.02, normal noise of that standard deviation is added to the maps
(the Gaussian's peak is 1). A rounded keypoint at the edge can leave the map,
whose maximum then is at the edge. A run over all of val2017 takes a few minutes
on two cores.
"""

import json
import pathlib
from collections.abc import Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from darkjax import geometry, skeletons
from darkjax.heatmaps.decode import decode_heatmaps
from darkjax.heatmaps.encode import render_heatmaps
from darkjax.metrics.coco import average_precision
from darkjax.runtime import command

STRIDE = 4  # input px per heatmap px of all models of the paper
MAPS_PER_BATCH = 2**23  # pixels of maps held at once; 32 MiB


class Size(NamedTuple):
  """One input size of the paper: (height, width) px, sigma, blur kernels."""

  crop: tuple[int, int]
  sigma: float
  blur_kernels: tuple[int, ...]

  @property
  def heatmap(self) -> tuple[int, int]:
    """(height, width) of the heatmaps."""
    return self.crop[0] // STRIDE, self.crop[1] // STRIDE


SIZES = {
  "128x96": Size((128, 96), 1.0, (3,)),
  "256x192": Size((256, 192), 2.0, (11,)),
  "384x288": Size((384, 288), 3.0, (11, 17)),
}
ENCODERS = {"unbiased": "none", "round": "round", "floor": "floor"}


def decoders(size: Size) -> dict[str, dict[str, Any]]:
  """Returns the options of decode_heatmaps by the name of the row."""
  rows = {
    "argmax": {"method": "argmax"},
    "standard, sign": {"method": "standard"},
    "standard, Eq. 1": {"method": "standard", "standard": "eq1"},
    "dark, no modulation": {"blur_kernel": 1},
  }
  for border in ("official", "refine"):
    for kernel in size.blur_kernels:
      options = {"blur_kernel": kernel, "border": border}
      rows[f"dark, {border}, k={kernel}"] = options
  return rows


class People(NamedTuple):
  """The labelled people of an annotation file, N of them."""

  image_ids: list[int]
  bboxes: np.ndarray  # [N, 4] x, y, w, h in image px
  keypoints_image: np.ndarray  # [N, K, 2] px
  is_labelled: np.ndarray  # [N, K] bool


def load_people(annotations: dict[str, Any]) -> People:
  """Returns the people with labelled keypoints, without crowds."""
  kept = [
    person
    for person in annotations["annotations"]
    if not person.get("iscrowd") and any(person["keypoints"][2::3])
  ]
  if not kept:
    raise ValueError("the annotations hold no person with labelled keypoints")
  keypoints = np.array([person["keypoints"] for person in kept], np.float64)
  keypoints = keypoints.reshape(len(kept), -1, 3)
  return People(
    [person["image_id"] for person in kept],
    np.array([person["bbox"] for person in kept], np.float64),
    keypoints[..., :2],
    keypoints[..., 2] > 0,
  )


def heatmap_from_image(
  people: People, size: Size, alignment: str, padding: float
) -> np.ndarray:
  """Returns affines [N, 2, 3] as the evaluation pipeline makes them."""
  shape = {"crop_size": size.crop, "alignment": alignment}
  center, scale = geometry.box_to_center_scale(
    people.bboxes, padding=padding, **shape
  )
  return geometry.compose(
    geometry.heatmap_from_crop(heatmap_size=size.heatmap, **shape),
    geometry.crop_from_image(center, scale, **shape),
  )


def heatmap_batches(
  keypoints: np.ndarray, size: Size, quantize: str, noise: float, seed: int
) -> Iterator[tuple[jax.Array, int]]:
  """Yields heatmaps of all people, and how many of a batch are not padding."""
  pixels = keypoints.shape[1] * size.heatmap[0] * size.heatmap[1]
  batch = min(max(MAPS_PER_BATCH // pixels, 1), len(keypoints))

  @jax.jit
  def draw(key, points):
    maps = render_heatmaps(
      points, size=size.heatmap, sigma=size.sigma, quantize=quantize
    )
    if not noise:
      return maps
    return maps + noise * jax.random.normal(key, maps.shape)

  for start in range(0, len(keypoints), batch):
    rows = np.arange(start, start + batch)
    points = np.take(keypoints, rows, axis=0, mode="clip")
    key = jax.random.fold_in(jax.random.key(seed), start)
    maps = draw(key, jnp.asarray(points, jnp.float32))
    yield maps, min(batch, len(keypoints) - start)


def decode_all(
  keypoints: np.ndarray, size: Size, quantize: str, noise: float, seed: int
) -> dict[str, np.ndarray]:
  """Returns keypoints [N, K, 2] by decoder, heatmap px, of maps drawn once."""
  rows = decoders(size)
  decoded = {name: [] for name in rows}
  for maps, count in heatmap_batches(keypoints, size, quantize, noise, seed):
    for name, options in rows.items():
      points = decode_heatmaps(maps, **options).keypoints
      decoded[name].append(np.asarray(points)[:count])
  return {name: np.concatenate(parts) for name, parts in decoded.items()}


def score(
  annotations: dict[str, Any], people: People, keypoints_image: np.ndarray
) -> float:
  """Returns AP in percent of points in image px, each person with score 1."""
  triples = np.concatenate(
    [keypoints_image, np.ones_like(keypoints_image[..., :1])], -1
  )
  results = [
    {
      "image_id": image_id,
      "category_id": 1,
      "score": 1.0,
      "keypoints": triple.ravel().tolist(),
    }
    for image_id, triple in zip(people.image_ids, triples, strict=True)
  ]
  sigmas = skeletons.COCO.sigmas
  return average_precision(annotations, results, sigmas=sigmas)["AP/gt_boxes"]


def measure(
  annotations: dict[str, Any],
  size: Size,
  encoder: str,
  *,
  alignment: str,
  padding: float = 1.25,
  noise: float = 0.0,
  seed: int = 0,
) -> dict[str, dict[str, float]]:
  """Returns AP, mean, p99, max and all by decoder, of a size and encoder."""
  people = load_people(annotations)
  transform = heatmap_from_image(people, size, alignment, padding)
  truth = geometry.apply_affine(transform, people.keypoints_image)
  last = np.array(size.heatmap[::-1]) - 1.0
  is_inside = ((truth >= 0) & (truth <= last)).all(-1) & people.is_labelled

  table = {}
  decoded = decode_all(truth, size, ENCODERS[encoder], noise, seed)
  for name, points in decoded.items():
    error = np.linalg.norm(points - truth, axis=-1)
    back = geometry.apply_affine(geometry.invert(transform), points)
    table[name] = {
      "AP": score(annotations, people, back),
      "mean": error[is_inside].mean(),
      "p99": np.percentile(error[is_inside], 99),
      "max": error[is_inside].max(),
      "all": error[people.is_labelled].mean(),
      "inside": int(is_inside.sum()),
      "labelled": int(people.is_labelled.sum()),
    }
  return table


def main(flags: command.Flags, _) -> None:
  """Prints the table."""
  path = pathlib.Path(flags.annotations)
  annotations = json.loads(path.read_text())
  options = {
    name: flags[name].value
    for name in ("alignment", "padding", "noise", "seed")
  }
  print(
    f"{path.name}, alignment {flags.alignment}, padding {flags.padding}, "
    f"noise {flags.noise}\n"
  )
  print("| input | encoder | decoder | AP | mean | p99 | max | all |")
  print("|---|---|---|---|---|---|---|---|")
  counts = []
  for size_name in flags.sizes:
    for encoder in flags.encoders:
      table = measure(annotations, SIZES[size_name], encoder, **options)
      for decoder, row in table.items():
        errors = " | ".join(
          f"{row[name]:.4f}" for name in ("mean", "p99", "max", "all")
        )
        names = f"{size_name} | {encoder} | {decoder}"
        print(f"| {names} | {row['AP']:.2f} | {errors} |", flush=True)
    counts.append(f"{size_name}: {row['inside']} of {row['labelled']}")
  print("\nLabelled keypoints in the map: " + ", ".join(counts))


def define_flags(define: command.Define) -> None:
  """Adds the flags of the command."""
  define.string("annotations", None, "COCO keypoint file.", required=True)
  define.enum(
    "alignment", "dark", geometry.ALIGNMENTS, "Alignment of crop and heatmap."
  )
  define.float("padding", 1.25, "Factor on the boxes.")
  define.float("noise", 0.0, "Standard deviation of noise on the maps.")
  define.integer("seed", 0, "Seed of the noise.")
  for name, choices in (("sizes", SIZES), ("encoders", ENCODERS)):
    define.multi_string(name, list(choices), f"Of {', '.join(choices)}.")
    define.check(name, set(choices).issuperset, f"is of {', '.join(choices)}")


if __name__ == "__main__":
  command.run(main, define_flags)
