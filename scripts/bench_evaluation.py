"""Benchmark of scoring: from heatmaps to COCO's ten numbers, by stage.

    python scripts/bench_evaluation.py --annotations=labels.json

where labels.json is person_keypoints_val2017.json or a similar file. Makes as
many boxes as the published detections of COCO val2017 have: the labels' boxes,
moved a little, then repeated with larger errors. Each gets 32x24 heatmaps with
Gaussians near the labels of its person, drawn in batches, since all of them
take 5 GiB. They are decoded and mapped back; then people are rescored,
duplicates removed, and pycocotools computes AP.

Prints one line of json: seconds per stage, their sum, the peak of resident
memory, AP, machine and commit. Drawing stands in for the network and is not
part of an evaluation; `seconds` includes it, `total_seconds` does not.
"""

import functools
import json
import pathlib
import resource
from collections.abc import Iterator
from typing import Any, NamedTuple

import bench
import codec_oracle
import jax
import jax.numpy as jnp
import numpy as np

from darkjax import convention, geometry, inference, render_heatmaps, skeletons
from darkjax.evaluate import scores as scoring
from darkjax.metrics import coco
from darkjax.runtime import command, startup
from darkjax.runtime.timer import Timer

DRAWING = "drawing heatmaps"


class Boxes(NamedTuple):
  """N boxes, and the keypoints that the heatmaps of each show."""

  image_ids: np.ndarray  # [N] int64
  bbox: np.ndarray  # [N, 4] float64 (x, y, w, h), image px
  scores: np.ndarray  # [N] of the detector, 0..1
  keypoints: np.ndarray  # [N, K, 2] float64, image px
  peaks: np.ndarray  # [N, K] float32, heights of the Gaussians, 0..1


def make_boxes(annotations: dict[str, Any], count: int, seed: int) -> Boxes:
  """Returns a good box of every labelled person, then random, worse ones.

  Args:
    annotations: content of a COCO keypoint json.
    count: N, at least the number of people.
    seed: of the random numbers.
  """
  people = codec_oracle.load_people(annotations)
  labelled, num_keypoints = people.is_labelled.shape
  if count < labelled:
    raise ValueError(f"--boxes={count} is less than {labelled} labelled people")
  rng = np.random.default_rng(seed)
  repeated = rng.integers(0, labelled, count - labelled)
  which = np.concatenate([np.arange(labelled), repeated])
  # Of the person's size: 1 % for the first box, up to 50 % for the others.
  wrong = 0.5 * rng.random(count)
  wrong[:labelled] = 0.01
  bbox = people.bboxes[which]
  return Boxes(
    image_ids=np.array(people.image_ids)[which],
    bbox=_moved(bbox, wrong, rng),
    scores=np.clip(1 - 2 * wrong + rng.normal(0, 0.1, count), 0.01, 1),
    keypoints=_near(people, which, wrong, rng),
    peaks=rng.uniform(0.1, 1, (count, num_keypoints)).astype(np.float32),
  )


def _moved(bbox, wrong, rng) -> np.ndarray:
  """Boxes shifted by a share of their size, and scaled."""
  shift = rng.normal(0, 1, (len(bbox), 2)) * wrong[:, None] * bbox[:, 2:] / 2
  size = bbox[:, 2:] * np.exp(rng.normal(0, 1, (len(bbox), 2)) * wrong[:, None])
  return np.concatenate([bbox[:, :2] + shift, np.maximum(size, 4)], -1)


def _near(people, which, wrong, rng) -> np.ndarray:
  """Keypoints off by a share of the box; unlabelled ones anywhere in it."""
  corner, size = np.split(people.bboxes[which, None], 2, -1)
  labels = people.keypoints_image[which]
  anywhere = corner + size * rng.random(labels.shape)
  points = np.where(people.is_labelled[which, :, None], labels, anywhere)
  noise = rng.normal(0, 0.2, points.shape) * size
  return points + noise * wrong[:, None, None]


def decode(
  boxes: Boxes, used: convention.Convention, batch_size: int, stages: Timer
) -> scoring.DatasetPredictions:
  """Draws heatmaps, decodes them and maps back, batch by batch."""
  center, scale, crop_from_image = used.crop_from_box(boxes.bbox)
  del center
  heatmap_from_image = geometry.compose(
    used.heatmap_from_crop(), crop_from_image
  )
  back = geometry.invert(heatmap_from_image).astype(np.float32)
  points = geometry.apply_affine(heatmap_from_image, boxes.keypoints)
  locate = jax.jit(functools.partial(inference.locate, convention=used))
  located, batches = [], _heatmaps(points, boxes.peaks, used, batch_size)
  for rows, heatmaps in stages.waiting(DRAWING, batches):
    with stages("decoding, way back"):
      some = locate(heatmaps, _padded(back[rows], batch_size))
      located.append(
        jax.tree.map(lambda x, r=rows: np.asarray(x)[: len(r)], some)
      )
  located = jax.tree.map(lambda *parts: np.concatenate(parts), *located)
  return scoring.DatasetPredictions(
    image_ids=boxes.image_ids,
    annotation_ids=np.arange(len(boxes.image_ids)),
    box_scores=boxes.scores,
    box_areas=scale.prod(-1),
    truth=np.zeros_like(located.keypoints_image),
    visible=np.zeros_like(located.scores),
    keypoint_scores=located.scores,
    keypoints={"dark": located.keypoints_image},
    covariances={"dark": located.covariances},
  )


def _heatmaps(
  points, peaks, used, batch_size: int
) -> Iterator[tuple[np.ndarray, jax.Array]]:
  """(rows, heatmaps [batch_size, H, W, K]); the last batch is padded."""

  @jax.jit
  def draw(points, peaks):
    maps = render_heatmaps(points, size=used.heatmap_size, sigma=used.sigma)
    return maps * peaks[:, None, None]

  for start in range(0, len(points), batch_size):
    rows = np.arange(start, min(start + batch_size, len(points)))
    some = points[rows].astype(np.float32), peaks[rows]
    maps = draw(*(jnp.asarray(_padded(x, batch_size)) for x in some))
    yield rows, maps.block_until_ready()


def _padded(rows: np.ndarray, count: int) -> np.ndarray:
  return np.concatenate([rows, np.repeat(rows[-1:], count - len(rows), 0)])


def measure(
  annotations: dict[str, Any], *, count: int, batch_size: int, seed: int
) -> dict[str, Any]:
  """Returns the line to print, see the module's docstring."""
  skeleton = skeletons.COCO
  used = bench.make_convention(skeleton=skeleton)
  boxes = make_boxes(annotations, count, seed)
  stages = Timer()
  people = decode(boxes, used, batch_size, stages)
  with stages("rescoring and NMS"):
    results = scoring.to_results(people, "dark", skeleton)
  with stages("COCO's AP"):
    metrics = coco.average_precision(
      annotations,
      results,
      sigmas=skeleton.sigmas,
      box_source="detections",
    )
  counted = (s for name, s in stages.seconds.items() if name != DRAWING)
  return {
    "boxes": count,
    "results": len(results),
    "seconds": {name: round(s, 2) for name, s in stages.seconds.items()},
    "total_seconds": round(sum(counted), 2),
    "peak_rss_gib": round(_peak_rss() / 2**30, 2),
    "AP/detections": round(metrics["AP/detections"], 2),
    "batch_size": batch_size,
  }


def _peak_rss() -> int:
  """Returns bytes; Linux counts in KiB."""
  return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def main(flags: command.Flags, _) -> None:
  """Measures once."""
  startup.start()
  line = measure(
    json.loads(pathlib.Path(flags.annotations).read_text()),
    count=flags.boxes,
    batch_size=flags.batch_size,
    seed=flags.seed,
  )
  bench.show(**line)


def define_flags(define: command.Define) -> None:
  """Adds the flags of the benchmark."""
  define.string("annotations", None, "COCO keypoint file.", required=True)
  define.integer("boxes", 104_125, "Boxes, as many as in the published file.")
  define.integer("batch_size", 512, "Boxes whose heatmaps exist at once.")
  define.integer("seed", 0, "Seed of the boxes.")


if __name__ == "__main__":
  command.run(main, define_flags)
