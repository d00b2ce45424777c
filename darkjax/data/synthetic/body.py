"""Bodies of the embedded data set: proportions, poses, forward kinematics.

Lengths are fractions of a person's height. A frame is a [3, 3] matrix of
orthonormal columns: the direction of a part's left, of its upper end, and of
its front. Points are (x, y, z): x right, y down, z towards the viewer, seen in
weak perspective, so that (x, y) is the picture.
"""

from typing import NamedTuple

import numpy as np

from darkjax import skeletons

SIDES = {"left": 1.0, "right": -1.0}  # sign along a frame's first column

# Degrees. An arm: forward swing, lift to the side, turn about the upper arm
# (positive outwards), elbow. A leg: the same, with the knee. The spine: lean
# forward, twist, lean to the side. One side may differ from the other; which of
# the two is left is drawn by lot.
_POSES = {
  "stand": (
    (4, 9, 0, 14), (4, 9, 0, 14),
    (0, 4, 5, 3), (0, 4, 5, 3), (2, 0, 0),
  ),
  "ease": (
    (0, 8, 0, 20), (-12, 38, -70, 95),
    (0, 5, 5, 2), (12, 6, 15, 22), (2, 4, 3),
  ),
  "walk": (
    (30, 6, 0, 30), (-26, 7, 0, 22),
    (-22, 2, 0, 14), (28, 2, 0, 12), (5, 8, 0),
  ),
  "run": (
    (48, 10, 0, 90), (-42, 12, 0, 80),
    (-22, 2, 0, 70), (58, 3, 0, 68), (14, 10, 0),
  ),
  "sit": (
    (38, 9, -10, 48), (34, 9, -10, 55),
    (82, 9, 5, 82), (80, 9, 5, 80), (6, 0, 0),
  ),
  "cheer": (
    (165, 12, 0, 18), (158, 14, 0, 22),
    (0, 8, 5, 3), (0, 8, 5, 3), (-4, 0, 0),
  ),
  "wave": (
    (5, 105, 75, 80), (4, 10, 0, 16),
    (0, 5, 5, 3), (4, 5, 5, 8), (2, 0, 4),
  ),
  "star": (
    (5, 92, 20, 8), (5, 92, 20, 8),
    (2, 24, 5, 5), (2, 24, 5, 5), (0, 0, 0),
  ),
  "akimbo": (
    (-18, 44, -72, 98), (-18, 44, -72, 98),
    (0, 9, 8, 2), (0, 9, 8, 2), (0, 0, 0),
  ),
  "reach": (
    (92, 8, 0, 12), (12, 14, 0, 35),
    (14, 3, 0, 14), (-12, 4, 0, 8), (14, 12, 0),
  ),
  "bend": (
    (72, 8, 0, 15), (58, 8, 0, 22),
    (-6, 6, 0, 6), (4, 6, 0, 10), (66, 6, 0),
  ),
  "squat": (
    (62, 12, 0, 25), (58, 14, 0, 30),
    (94, 18, 15, 112), (92, 18, 15, 110), (30, 0, 0),
  ),
  "kick": (
    (30, 40, 0, 30), (-25, 45, 0, 25),
    (68, 4, 0, 22), (-5, 4, 0, 8), (-5, 8, 0),
  ),
  "lunge": (
    (35, 20, 0, 60), (-10, 20, 0, 50),
    (72, 5, 0, 78), (-22, 4, 0, 24), (10, 0, 0),
  ),
  "fold": (
    (34, 4, -72, 102), (30, 6, -66, 98),
    (0, 6, 5, 3), (0, 6, 5, 3), (3, 0, 0),
  ),
  "phone": (
    (48, 18, -25, 128), (4, 9, 0, 18),
    (0, 5, 5, 3), (5, 5, 5, 8), (4, 0, 0),
  ),
}  # fmt: skip
_LIMB_SPREAD = np.array([9, 5, 9, 9])  # degrees, standard deviation
_SPINE_SPREAD = np.array([4, 7, 4])

# Where the camera stands around the person: mean, deviation, share.
_VIEWS = ((0, 28, 0.45), (180, 28, 0.25), (90, 35, 0.15), (270, 35, 0.15))


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

  name: str
  view: np.ndarray  # [3] yaw (0 faces the viewer), pitch, roll of the whole
  spine: np.ndarray  # [3]
  head: np.ndarray  # [3] nod, turn, tilt
  arms: np.ndarray  # [2, 4] left, right
  legs: np.ndarray  # [2, 4]


class Body(NamedTuple):
  """A posed person.

  Attributes:
    points: name → [3], the 17 keypoints and waist, neck, head.
    frames: name → [3, 3].
    build: its proportions.
    unit: pixels per height.
  """

  points: dict[str, np.ndarray]
  frames: dict[str, np.ndarray]
  build: Build
  unit: float

  def moved(self, unit: float, offset: np.ndarray) -> "Body":
    """The body at another size, its origin (mid hip) at offset [3], pixels."""
    scale, origin = unit / self.unit, self.points["pelvis"]
    points = {
      name: (point - origin) * scale + offset
      for name, point in self.points.items()
    }
    return self._replace(points=points, unit=unit)

  def keypoints(self) -> np.ndarray:
    """The COCO keypoints, [17, 3] pixels."""
    return np.stack([self.points[n] for n in skeletons.COCO.keypoint_names])


def sample_build(rng: np.random.Generator) -> Build:
  """Draws proportions; one in six is a child's, with a larger head."""
  factors = np.clip(rng.normal(1, 0.05, len(Build._fields)), 0.88, 1.12)
  build = Build(*(np.array(Build()) * factors))
  build = build._replace(girth=float(np.clip(rng.normal(1.02, 0.13), 0.8, 1.4)))
  if rng.random() < 1 / 6:
    lengths = np.array(build) * 0.9
    build = Build(*lengths)._replace(head=1.3, girth=build.girth)
  return build


def sample_pose(rng: np.random.Generator) -> Pose:
  """Draws a pose from the table, with noise on every angle."""
  name = str(rng.choice(list(_POSES)))
  arm, other_arm, leg, other_leg, spine = _POSES[name]
  arms, legs, spine = (
    np.array([arm, other_arm]),
    np.array([leg, other_leg]),
    spine,
  )
  arms = rng.normal(arms, _LIMB_SPREAD)
  legs = rng.normal(legs, _LIMB_SPREAD)
  spine = rng.normal(spine, _SPINE_SPREAD)
  head = rng.normal(0, (9, 20, 6))
  if rng.random() < 0.5:  # the mirrored pose
    arms, legs, spine = arms[::-1], legs[::-1], spine * (1, -1, -1)
  # Elbows and knees bend one way only.
  arms[:, 3], legs[:, 3] = np.maximum(arms[:, 3], 0), np.maximum(legs[:, 3], 0)
  angles = (_sample_view(rng), spine, head, arms, legs)
  return Pose(name, *(np.radians(a) for a in angles))


def _sample_view(rng: np.random.Generator) -> np.ndarray:
  means, deviations, shares = zip(*_VIEWS, strict=True)
  view = rng.choice(len(_VIEWS), p=shares)
  yaw = rng.normal(means[view], deviations[view])
  roll = rng.normal(0, 20 if rng.random() < 0.12 else 4)
  return np.array([yaw, rng.normal(6, 6), roll])


def pose_body(pose: Pose, build: Build) -> Body:
  """Forward kinematics at unit size with the origin between the hips."""
  yaw, pitch, roll = pose.view
  root = np.diag([1.0, -1.0, 1.0]) @ _rx(pitch) @ _rz(roll) @ _ry(yaw)
  points, frames = {}, {}
  _pose_trunk(points, frames, root, pose, build)
  _pose_head(points, frames, pose, build)
  for index, (side, sign) in enumerate(SIDES.items()):
    _pose_arm(points, frames, side, sign, pose.arms[index], build)
    _pose_leg(points, frames, side, sign, pose.legs[index], build)
  return Body(points, frames, build, unit=1.0)


def _pose_trunk(points, frames, root, pose: Pose, build: Build) -> None:
  lean, twist, side = pose.spine
  # Half of the bend is in the hips, half in the waist.
  frames["root"] = root
  frames["pelvis"] = root @ _rx(lean / 2)
  frames["chest"] = frames["pelvis"] @ _rx(lean / 2) @ _rz(side) @ _ry(twist)
  points["pelvis"] = np.zeros(3)
  points["waist"] = frames["pelvis"] @ (0, build.waist, 0)
  points["neck"] = points["waist"] + frames["chest"] @ (0, build.chest, 0)


def _pose_head(points, frames, pose: Pose, build: Build) -> None:
  nod, turn, tilt = pose.head
  # A leaning person looks up again, part of the way.
  nod = nod - 0.5 * max(pose.spine[0], 0)
  frames["head"] = frames["chest"] @ _ry(turn) @ _rz(tilt) @ _rx(nod)
  rise = frames["chest"] @ (0, 0.052, 0.006)
  points["chin"] = points["neck"] + rise
  center = points["chin"] + frames["head"] @ (0, 0.05 * build.head, 0.01)
  points["head"] = center
  for name, place in head_places(build).items():
    points[name] = center + frames["head"] @ place


def head_places(build: Build) -> dict[str, np.ndarray]:
  """The keypoints of a face from the middle of the head, in its frame."""
  places = {"nose": np.array([0, -0.02, 0.066])}
  for side, sign in SIDES.items():
    places[f"{side}_eye"] = np.array([sign * 0.019, 0.004, 0.049])
    places[f"{side}_ear"] = np.array([sign * 0.0485, -0.008, -0.004])
  return {name: place * build.head for name, place in places.items()}


def _pose_arm(points, frames, side, sign, angles, build: Build) -> None:
  forward, lift, turn, bend = angles
  upper = frames["chest"] @ _rz(sign * lift) @ _rx(-forward) @ _ry(sign * turn)
  frames[f"{side}_arm"], frames[f"{side}_forearm"] = upper, upper @ _rx(-bend)
  # A lifted arm takes the shoulder up with it.
  height = -0.016 + 0.025 * max(np.sin(max(lift, forward) - np.pi / 2), 0)
  shoulder = points["neck"] + frames["chest"] @ (
    sign * build.shoulder,
    height,
    0,
  )
  elbow = shoulder - upper[:, 1] * build.upper_arm
  points[f"{side}_shoulder"], points[f"{side}_elbow"] = shoulder, elbow
  forearm = frames[f"{side}_forearm"]
  points[f"{side}_wrist"] = elbow - forearm[:, 1] * build.forearm


def _pose_leg(points, frames, side, sign, angles, build: Build) -> None:
  forward, lift, turn, bend = angles
  thigh = frames["root"] @ _rz(sign * lift) @ _rx(-forward) @ _ry(sign * turn)
  frames[f"{side}_thigh"], frames[f"{side}_shank"] = thigh, thigh @ _rx(bend)
  hip = frames["pelvis"] @ (sign * build.hip, 0, 0)
  knee = hip - thigh[:, 1] * build.thigh
  shank = frames[f"{side}_shank"]
  points[f"{side}_hip"], points[f"{side}_knee"] = hip, knee
  points[f"{side}_ankle"] = knee - shank[:, 1] * build.shank
  # Soles keep level with the ground as far as the ankle lets them.
  frames[f"{side}_foot"] = shank @ _rx(np.clip(forward - bend, -0.4, 0.5))


def _rx(angle: float) -> np.ndarray:
  c, s = np.cos(angle), np.sin(angle)
  return np.array([[1, 0, 0], [0, c, -s], [0, s, c]])


def _ry(angle: float) -> np.ndarray:
  c, s = np.cos(angle), np.sin(angle)
  return np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]])


def _rz(angle: float) -> np.ndarray:
  c, s = np.cos(angle), np.sin(angle)
  return np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])
