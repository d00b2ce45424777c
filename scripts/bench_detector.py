"""Benchmark of a detector: AP50 of its boxes, its speed, and poses behind it.

  python scripts/bench_detector.py --detector=yolox_nano.onnx \
      --annotations=person_keypoints_val2017.json --images=val2017

Needs `pip install "darkjax[detect,train]"`. The processor time of a detection
is that of one thread. Then three sides run in turn on the photographs, from
files to poses: the detector on all of them and then `Pose` with its boxes,
`Pose(detector=...)`, which does both at once, and `Pose` with the boxes alone.
"""

import contextlib
import io
import pathlib
import time

import bench
import numpy as np
from pycocotools import coco, cocoeval

import darkjax
from darkjax.data.images import photo
from darkjax.inference.detectors.people import Detector
from darkjax.inference.pose import Pose
from darkjax.runtime import command, startup

# COCO's AP needs the boxes of low scores too.
_LOW_SCORE = 0.01


def main(flags: command.Flags, _) -> None:
  """Prints the measurements."""
  startup.start()
  with contextlib.redirect_stdout(io.StringIO()):
    labels = coco.COCO(flags.annotations)
  folder = pathlib.Path(flags.images)
  paths = {n: folder / i["file_name"] for n, i in labels.imgs.items()}
  detector = darkjax.load_detector(
    flags.detector, min_score=_LOW_SCORE, threads=1
  )
  images = {n: photo.read(path, upright=False) for n, path in paths.items()}
  start = time.process_time()
  found = {n: detector(image) for n, image in images.items()}
  seconds = time.process_time() - start
  bench.show(
    detector=pathlib.Path(flags.detector).name,
    photographs=len(images),
    ap50=round(score(labels, found)[1], 4),
    per_second_and_core=round(len(images) / seconds, 1),
  )
  time_poses(
    list(paths.values()), darkjax.load_detector(flags.detector), flags.turns
  )


def score(labels: coco.COCO, found) -> np.ndarray:
  """Returns pycocotools' 12 numbers of detected people: AP, AP50, ...

  Args:
    labels: of the photographs.
    found: `Detections` by image id, at least one box.
  """
  records = [
    {
      "image_id": n,
      "category_id": 1,
      "bbox": box.tolist(),
      "score": float(box_score),
    }
    for n, detections in found.items()
    for box, box_score in zip(*detections, strict=True)
  ]
  with contextlib.redirect_stdout(io.StringIO()):
    evaluation = cocoeval.COCOeval(labels, labels.loadRes(records), "bbox")
    evaluation.params.imgIds = list(found)
    evaluation.params.catIds = [1]
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
  return evaluation.stats


def time_poses(
  paths: list[pathlib.Path], detector: Detector, turns: int
) -> None:
  """Prints photographs per second of detector and pose, in turn and at once."""
  plain, both = Pose.pretrained(), Pose.pretrained(detector=detector)
  boxes = [detector(photo.read(path)).boxes for path in paths]

  def in_turn():
    plain(paths, [detector(photo.read(path)).boxes for path in paths])

  sides = {
    "in turn": in_turn,
    "at once": lambda: both(paths),
    "poses alone": lambda: plain(paths, boxes),
  }
  times = bench.take_turns(sides, turns)
  for name, seconds in times.items():
    bench.show(
      side=name,
      people=sum(map(len, boxes)),
      photographs_per_second=round(len(paths) / float(np.median(seconds)), 2),
      of_the_time_in_turn=bench.ratio(seconds, times["in turn"]),
    )


def define_flags(define: command.Define) -> None:
  """Adds the flags of the benchmark."""
  define.string("detector", None, "See `darkjax.load_detector`.")
  define.string("annotations", None, "COCO-format json of people.")
  define.string("images", None, "Folder of its images.")
  define.integer("turns", 7, "How often each side is timed.")
  define.required(["detector", "annotations", "images"])


if __name__ == "__main__":
  command.run(main, define_flags)
