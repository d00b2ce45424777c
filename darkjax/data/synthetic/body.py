"""Bodies of synthetic people: proportions, poses, forward kinematics.

Lengths are fractions of a person's height. A frame is a [3, 3] matrix of
orthonormal columns: the direction of a part's left, of its upper end, and of
its front. Points are (x, y, z): x right, y down, z towards the viewer, seen in
weak perspective, so that (x, y) is the picture.
"""

import functools
from typing import NamedTuple

import numpy as np

from darkjax import skeletons

SIDES = {"left": 1.0, "right": -1.0}  # sign along a frame's first column

# Degrees. An arm: forward swing, lift to the side, turn about the upper arm
# (positive outwards), elbow. A leg: the same, with the knee. The spine: lean
# forward, twist, lean to the side. One side may differ from the other; which of
# the two is left is drawn by lot.
_POSES = """
        arm             other arm       leg             other leg       spine
stand     4   9   0  14   4   9   0  14   0   4   5   3   0   4   5   3   2  0 0
ease      0   8   0  20 -12  38 -70  95   0   5   5   2  12   6  15  22   2  4 3
walk     30   6   0  30 -26   7   0  22 -22   2   0  14  28   2   0  12   5  8 0
run      48  10   0  90 -42  12   0  80 -22   2   0  70  58   3   0  68  14 10 0
sit      38   9 -10  48  34   9 -10  55  82   9   5  82  80   9   5  80   6  0 0
cheer   165  12   0  18 158  14   0  22   0   8   5   3   0   8   5   3  -4  0 0
wave      5 105  75  80   4  10   0  16   0   5   5   3   4   5   5   8   2  0 4
star      5  92  20   8   5  92  20   8   2  24   5   5   2  24   5   5   0  0 0
akimbo  -18  44 -72  98 -18  44 -72  98   0   9   8   2   0   9   8   2   0  0 0
reach    92   8   0  12  12  14   0  35  14   3   0  14 -12   4   0   8  14 12 0
bend     72   8   0  15  58   8   0  22  -6   6   0   6   4   6   0  10  66  6 0
squat    62  12   0  25  58  14   0  30  94  18  15 112  92  18  15 110  30  0 0
kick     30  40   0  30 -25  45   0  25  68   4   0  22  -5   4   0   8  -5  8 0
lunge    35  20   0  60 -10  20   0  50  72   5   0  78 -22   4   0  24  10  0 0
fold     34   4 -72 102  30   6 -66  98   0   6   5   3   0   6   5   3   3  0 0
phone    48  18 -25 128   4   9   0  18   0   5   5   3   5   5   5   8   4  0 0
"""
_ANGLES = np.array([row.split()[1:] for row in _POSES.splitlines()[2:]], float)
_LIMB_SPREAD = np.array([9, 5, 9, 9])  # degrees, standard deviation
_SPINE_SPREAD = np.array([4, 7, 4])

# Keypoints from the middle of an average head, in its frame.
FACE = {
  "nose": (0, -0.02, 0.066),
  "left_eye": (0.019, 0.004, 0.049), "right_eye": (-0.019, 0.004, 0.049),
  "left_ear": (0.0485, -0.008, -0.004), "right_ear": (-0.0485, -0.008, -0.004),
}  # fmt: skip

# Where the camera stands around the person, in degrees: mean and deviation.
_VIEWS = ((0, 28), (180, 28), (90, 35), (270, 35))
_VIEW_SHARES = (0.45, 0.25, 0.15, 0.15)


class Build(NamedTuple):
  """Lengths of one person over the height of an average one."""

  head: float = 1.0  # factor on the head
  girth: float = 1.0  # factor on all half widths
  shoulder: float = 0.104  # half the distance of the shoulders
  hip: float = 0.056  # half the distance of the hips
  upper_arm: float = 0.172
  forearm: float = 0.147
  thigh: float = 0.244
  shank: float = 0.246
  waist: float = 0.1  # from the hips up
  chest: float = 0.198  # from the waist to the neck


class Pose(NamedTuple):
  """Angles in radians; see the table of poses for their order."""

  view: np.ndarray  # [3] yaw (0 faces the viewer), pitch, roll of the whole
  spine: np.ndarray  # [3]
  head: np.ndarray  # [3] nod, turn, tilt
  arms: np.ndarray  # [2, 4] left, right
  legs: np.ndarray  # [2, 4]


class Body(NamedTuple):
  """A posed person."""

  points: dict[str, np.ndarray]  # [3] each, the 17 keypoints and waist, neck...
  frames: dict[str, np.ndarray]  # [3, 3] each
  build: Build
  unit: float  # pixels per height

  def moved(self, unit: float, offset: np.ndarray) -> "Body":
    """Returns the body at another size, its mid hip at offset [3], pixels."""
    scale, origin = unit / self.unit, self.points["pelvis"]
    points = {k: (p - origin) * scale + offset for k, p in self.points.items()}
    return self._replace(points=points, unit=unit)

  def keypoints(self) -> np.ndarray:
    """Returns the COCO keypoints, [17, 3] pixels."""
    return np.stack([self.points[n] for n in skeletons.COCO.keypoint_names])


def sample_build(rng: np.random.Generator) -> Build:
  """Draws proportions; one in six is a child's, with a larger head."""
  factors = np.clip(rng.normal(1, 0.05, len(Build._fields)), 0.88, 1.12)
  build = Build(*(np.array(Build()) * factors))
  girth = float(np.clip(rng.normal(1.02, 0.13), 0.8, 1.4))
  if rng.random() < 1 / 6:
    return Build(*(np.array(build) * 0.9))._replace(head=1.3, girth=girth)
  return build._replace(girth=girth)


def sample_pose(rng: np.random.Generator) -> Pose:
  """Draws a pose from the table, with noise on every angle."""
  angles = _ANGLES[rng.choice(len(_ANGLES))]
  limbs = angles[:16].reshape(2, 2, 4)  # arms and legs of either side
  limbs = rng.normal(limbs, _LIMB_SPREAD)
  spine = rng.normal(angles[16:], _SPINE_SPREAD)
  head = rng.normal(0, (9, 20, 6))
  if rng.random() < 0.5:  # the mirrored pose
    limbs, spine = limbs[:, ::-1], spine * (1, -1, -1)
  # Elbows and knees bend one way only.
  limbs[..., 3] = np.maximum(limbs[..., 3], 0)
  yaw = rng.normal(*_VIEWS[rng.choice(len(_VIEWS), p=_VIEW_SHARES)])
  roll = rng.normal(0, 20 if rng.random() < 0.12 else 4)
  view = np.array([yaw, rng.normal(6, 6), roll])
  return Pose(*(np.radians(a) for a in (view, spine, head, *limbs)))


def pose_body(pose: Pose, build: Build) -> Body:
  """Poses a body at unit size with the origin between the hips."""
  (yaw, pitch, roll), (lean, twist, tilt) = pose.view, pose.spine
  root = np.diag([1.0, -1.0, 1.0]) @ _rx(pitch) @ _rz(roll) @ _ry(yaw)
  # Half of the bend is in the hips, half in the waist.
  pelvis = root @ _rx(lean / 2)
  chest = pelvis @ _rx(lean / 2) @ _rz(tilt) @ _ry(twist)
  waist = pelvis @ (0, build.waist, 0)
  neck = waist + chest @ (0, build.chest, 0)
  points = {"pelvis": np.zeros(3), "waist": waist, "neck": neck}
  frames = {"root": root, "pelvis": pelvis, "chest": chest}
  body = Body(points, frames, build, unit=1.0)
  _pose_head(body, pose)
  for side, arm, leg in zip(SIDES, pose.arms, pose.legs, strict=True):
    _pose_arm(body, side, arm)
    _pose_leg(body, side, leg)
  return body


def _pose_head(body: Body, pose: Pose) -> None:
  points, frames, build, _ = body
  nod, turn, tilt = pose.head
  # A leaning person looks up again, part of the way.
  nod = nod - 0.5 * max(pose.spine[0], 0)
  frame = frames["head"] = frames["chest"] @ _ry(turn) @ _rz(tilt) @ _rx(nod)
  points["chin"] = points["neck"] + frames["chest"] @ (0, 0.052, 0.006)
  points["head"] = points["chin"] + frame @ (0, 0.05 * build.head, 0.01)
  for name, place in FACE.items():
    points[name] = points["head"] + frame @ (np.array(place) * build.head)


def _pose_arm(body: Body, side: str, angles: np.ndarray) -> None:
  forward, lift, turn, bend = angles
  # A lifted arm takes the shoulder up with it.
  height = -0.016 + 0.025 * max(np.sin(max(lift, forward) - np.pi / 2), 0)
  place = (SIDES[side] * body.build.shoulder, height, 0)
  shoulder = body.points["neck"] + body.frames["chest"] @ place
  body.points[f"{side}_shoulder"] = shoulder
  chain = ("shoulder", "upper_arm", "elbow", "forearm", "wrist")
  _pose_limb(body, side, "chest", (forward, lift, turn, -bend), chain)


def _pose_leg(body: Body, side: str, angles: np.ndarray) -> None:
  place = (SIDES[side] * body.build.hip, 0, 0)
  body.points[f"{side}_hip"] = body.frames["pelvis"] @ place
  chain = ("hip", "thigh", "knee", "shank", "ankle")
  _pose_limb(body, side, "root", angles, chain)
  # Soles keep level with the ground as far as the ankle lets them.
  level = np.clip(angles[0] - angles[3], -0.4, 0.5)
  body.frames[f"{side}_foot"] = body.frames[f"{side}_shank"] @ _rx(level)


def _pose_limb(body: Body, side: str, base: str, angles, chain) -> None:
  """Hangs bones, whose frames are named like them, between keypoints."""
  forward, lift, turn, bend = angles
  sign, (start, upper, middle, lower, end) = SIDES[side], chain
  frame = body.frames[base] @ _rz(sign * lift) @ _rx(-forward)
  frame = frame @ _ry(sign * turn)
  point = body.points[f"{side}_{start}"]
  for bone, keypoint, angle in ((upper, middle, 0), (lower, end, bend)):
    frame = frame @ _rx(angle)
    point = point - frame[:, 1] * getattr(body.build, bone)
    body.points[f"{side}_{keypoint}"] = point
    body.frames[f"{side}_{bone}"] = frame


def _rotation(axis: int, angle: float) -> np.ndarray:
  matrix, (i, j) = np.eye(3), ((axis + 1) % 3, (axis + 2) % 3)
  matrix[i, i] = matrix[j, j] = np.cos(angle)
  matrix[j, i] = np.sin(angle)
  matrix[i, j] = -matrix[j, i]
  return matrix


_rx, _ry, _rz = (functools.partial(_rotation, axis) for axis in range(3))
