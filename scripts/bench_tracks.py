"""Benchmark of tracks: ids that switch and keypoints that jitter.

  python scripts/bench_tracks.py --detector=yolox_nano.onnx \
      --annotations=person_keypoints_test.json --images=images

Writes a video of photographs of people who walk to and fro through each other,
whoever is in front hiding the others, and reads it as `darkjax predict` does:
as predicted, and smoothed along the tracks of overlap and of ByteTrack. Needs
`pip install "darkjax[detect,track,video]"`.
"""

import itertools
import json
import pathlib
import tempfile
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import bench
import numpy as np

import darkjax
from darkjax.data.images import photo
from darkjax.inference.pose import Pose
from darkjax.predict import inputs, smoothing, tracks, video
from darkjax.predict.people import (
  PicturePeople,
  predict_people,
  smooth_people,
  track_people,
)
from darkjax.runtime import command, startup

_SIZE = (270, 640)  # px of the video
_RATE = 25.0  # frames/s
_NOISE = 4.0  # grey levels, standard deviation
_OVERLAP = 0.5  # with the person's true box, for a detection to be of it


class Walker(NamedTuple):
  """A photograph of one person."""

  pixels: np.ndarray  # [H, W, 3] uint8 RGB
  keypoints: np.ndarray  # [K, 2], nan where not labelled
  bbox: np.ndarray  # [4] (x, y, w, h), px of the photograph


def main(flags: command.Flags, _) -> None:
  """Prints a line for each way to the keypoints."""
  startup.start()
  walkers = read_walkers(flags.annotations, flags.images, flags.people)
  offsets = walk(walkers, flags.frames)
  detector = darkjax.load_detector(
    flags.detector, min_score=flags.min_box_score
  )
  pose = Pose.pretrained(detector=detector)
  with tempfile.TemporaryDirectory() as folder:
    path = pathlib.Path(folder) / "walk.mp4"
    with video.open_writer(path, _RATE) as write:
      for t, frame in enumerate(draw_frames(walkers, offsets)):
        write(frame, t / _RATE)
    with inputs.open_frames(str(path)) as opened:
      predicted = list(predict_people(pose, opened.stream))
  bench.show(people=len(walkers), frames=len(predicted))
  for tracker in (None, tracks.OverlapTracker(), tracks.ByteTracker(_RATE)):
    found = predicted
    if tracker:
      found = list(track_people(predicted, tracker))
      found = list(smooth_people(pose, found, smoothing.OneEuro()))
    measure(type(tracker).__name__ if tracker else "as predicted", found,
            walkers, offsets)  # fmt: skip


def read_walkers(annotations: str, images: str, count: int) -> list[Walker]:
  """Returns the first people in photographs at least 160 px high."""
  content = json.loads(pathlib.Path(annotations).read_text())
  files = {image["id"]: image for image in content["images"]}
  walkers = []
  for person in content["annotations"]:
    image = files[person["image_id"]]
    if not 160 <= image["height"] <= _SIZE[0] or image["width"] > 200:
      continue
    x, y, visible = np.reshape(person["keypoints"], (-1, 3)).T.astype(float)
    keypoints = np.stack([x, y], -1)
    keypoints[visible == 0] = np.nan
    path = pathlib.Path(images) / image["file_name"]
    walkers.append(
      Walker(photo.read(path), keypoints, np.array(person["bbox"], float))
    )
    if len(walkers) == count:
      break
  return walkers


def walk(walkers: Sequence[Walker], num_frames: int) -> np.ndarray:
  """Returns whole px [T, P, 2] by which the photographs are moved, to and fro.

  Each has its own speed, 3 px a frame and more, and every other one starts at
  the right.
  """
  offsets = np.zeros((num_frames, len(walkers), 2), int)
  time = np.arange(num_frames)
  for n, walker in enumerate(walkers):
    height, width = walker.pixels.shape[:2]
    room = _SIZE[1] - width
    place = (room * (n % 2) + (3 + n) * time) % (2 * room)
    offsets[:, n, 0] = np.minimum(place, 2 * room - place)
    offsets[:, n, 1] = (_SIZE[0] - height) * (n + 1) // (len(walkers) + 1)
  return offsets


def draw_frames(
  walkers: Sequence[Walker], offsets: np.ndarray
) -> Iterator[np.ndarray]:
  """Yields noisy frames [H, W, 3] uint8; the last walker is in front."""
  rng = np.random.default_rng(0)
  for places in offsets:
    frame = np.full((*_SIZE, 3), 120.0)
    for walker, (x, y) in zip(walkers, places, strict=True):
      height, width = walker.pixels.shape[:2]
      frame[y : y + height, x : x + width] = walker.pixels
    frame += rng.normal(size=frame.shape) * _NOISE
    yield np.clip(np.rint(frame), 0, 255).astype(np.uint8)


def measure(
  name: str,
  found: Sequence[PicturePeople],
  walkers: Sequence[Walker],
  offsets: np.ndarray,
) -> None:
  """Prints switches of ids, jitter, and errors of keypoints."""
  ids, moved = assign(found, walkers, offsets)
  errors = [
    np.linalg.norm(keypoints - walkers[n].keypoints, axis=-1)
    for n, one in enumerate(moved)
    for keypoints in one.values()
  ]
  bench.show(
    tracks=name,
    switches=sum(map(count_switches, ids)),
    ids=len({i for one in ids for i in one if i is not None}),
    jitter_px=round(jitter(moved), 2),
    median_error_px=round(float(np.nanmedian(errors)), 2),
  )


def assign(found, walkers, offsets):
  """Returns each walker's ids, and keypoints less its motion by frame.

  Those of whom another hides more than half are left out.
  """
  ids: list[list[int | None]] = [[] for _ in walkers]
  moved: list[dict[int, np.ndarray]] = [{} for _ in walkers]
  boxes = np.array([walker.bbox for walker in walkers])
  for t, (one, places) in enumerate(zip(found, offsets, strict=True)):
    true = np.concatenate([boxes[:, :2] + places, boxes[:, 2:]], -1)
    seen = np.flatnonzero(hidden(true) <= 0.5)
    matches = tracks.match(true[seen], one.people.boxes, min_overlap=_OVERLAP)
    for m, n in ((m, seen[n]) for m, n in matches.items()):
      ids[n].append(one.people[m].track_id)
      moved[n][t] = one.people[m].keypoints_image - places[n]
  return ids, moved


def hidden(boxes: np.ndarray) -> np.ndarray:
  """Returns the share [P] of each box behind the one later box that hides most.

  Boxes are [P, 4] (x, y, w, h), px.
  """
  low, high = boxes[:, :2], boxes[:, :2] + boxes[:, 2:]
  shared = np.minimum(high[:, None], high) - np.maximum(low[:, None], low)
  share = np.maximum(shared, 0).prod(-1) / boxes[:, None, 2:].prod(-1)
  return np.triu(share, 1).max(-1)


def count_switches(ids: Sequence[int | None]) -> int:
  """Returns how often one person's id, where there is one, changes."""
  known = [i for i in ids if i is not None]
  return sum(a != b for a, b in itertools.pairwise(known))


def jitter(moved: Sequence[dict[int, np.ndarray]]) -> float:
  """Returns the median second difference over frames in a row, px."""
  differences = [
    np.linalg.norm(one[t - 1] - 2 * one[t] + one[t + 1], axis=-1)
    for one in moved
    for t in one
    if t - 1 in one and t + 1 in one
  ]
  return float(np.median(np.concatenate(differences)))


def define_flags(define: command.Define) -> None:
  """Adds the flags of the benchmark."""
  define.string("detector", None, "See `darkjax.load_detector`.")
  define.string("annotations", None, "COCO-format json, a person a photograph.")
  define.string("images", None, "Folder of its images.")
  define.float("min_box_score", 0.1, "Lowest score of a box.")
  define.integer("people", 4, "People in the video.")
  define.integer("frames", 250, "Frames of the video.")
  define.required(["detector", "annotations", "images"])


if __name__ == "__main__":
  command.run(main, define_flags)
