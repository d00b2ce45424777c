"""Sets of keypoints: names, left-right pairs, limbs, OKS sigmas.

Indices count from 0, in the order of the annotation files. "Left" is the
person's left.
"""

import dataclasses
import functools
import numbers
from collections.abc import Mapping, Sequence
from typing import Any

from darkjax.skeletons import names as keypoint_names


@dataclasses.dataclass(frozen=True)
class Skeleton:
  """A named set of K keypoints.

  Attributes:
    name: how configs call it.
    keypoint_names: K unique names.
    flip_pairs: (left, right) indices that trade places in a mirrored image.
    limbs: index pairs drawn as lines.
    upper_body: indices that half-body augmentation counts as upper body.
    lower_body: the others it may choose.
    sigmas: K positive OKS constants, one per keypoint, as in Eq. k_i = 2σ_i of
      the COCO evaluation (https://cocodataset.org/#keypoints-eval).

  Raises:
    ValueError: the parts contradict each other; the message says how.
  """

  name: str
  keypoint_names: tuple[str, ...]
  flip_pairs: tuple[tuple[int, int], ...]
  limbs: tuple[tuple[int, int], ...]
  upper_body: tuple[int, ...]
  lower_body: tuple[int, ...]
  sigmas: tuple[float, ...]

  def __post_init__(self):
    keypoint_names.check(self.keypoint_names)
    _check_flip_pairs(self)
    _check_indices(self, "limbs", [i for limb in self.limbs for i in limb])
    _check_indices(self, "upper_body", self.upper_body)
    _check_indices(self, "lower_body", self.lower_body)
    count, sigmas = self.num_keypoints, self.sigmas
    if len(sigmas) != count or not all(0 < s < float("inf") for s in sigmas):
      raise ValueError(
        f"skeleton {self.name!r}: needs K={count} positive sigmas, "
        f"got {len(sigmas)}: {sigmas}"
      )

  @property
  def num_keypoints(self) -> int:
    """K."""
    return len(self.keypoint_names)

  @functools.cached_property
  def flip_indices(self) -> tuple[int, ...]:
    """K indices: keypoint k of a mirrored image is `flip_indices[k]`."""
    order = list(range(self.num_keypoints))
    for left, right in self.flip_pairs:
      order[left], order[right] = right, left
    return tuple(order)

  def to_json(self) -> dict[str, Any]:
    """A dictionary that `from_json` reads back."""
    return dataclasses.asdict(self)


def from_json(fields: Mapping[str, Any]) -> Skeleton:
  """Returns the skeleton of `Skeleton.to_json`; lists become tuples."""
  return Skeleton(**{name: _tuples(value) for name, value in fields.items()})


def _tuples(value):
  if isinstance(value, str | int | float):
    return value
  return tuple(_tuples(item) for item in value)


def _check_flip_pairs(skeleton: Skeleton) -> None:
  pairs = skeleton.flip_pairs
  twos = [p for p in pairs if isinstance(p, Sequence) and len(p) == 2]
  flat = [i for pair in twos for i in pair]
  _check_indices(skeleton, "flip_pairs", flat)
  if len(twos) != len(pairs) or len(set(flat)) != len(flat):
    raise ValueError(
      f"skeleton {skeleton.name!r}: a keypoint belongs to at most one flip "
      f"pair (left, right) and never to itself, got {pairs}"
    )


def _check_indices(skeleton: Skeleton, field: str, indices) -> None:
  integer, allowed = numbers.Integral, range(skeleton.num_keypoints)
  wrong = [i for i in indices if not isinstance(i, integer) or i not in allowed]
  if wrong:
    raise ValueError(
      f"skeleton {skeleton.name!r}: {field} must lie in 0..K-1 (integers) with "
      f"K={skeleton.num_keypoints}, got {wrong} (COCO files count from 1)"
    )


# By part, from pycocotools.cocoeval.Params.setKpParams. MPII and LSP are scored
# by PCK and have no official sigmas: their pelvis takes the hips'.
_SIGMAS = {
  "nose": 0.026, "eye": 0.025, "ear": 0.035, "shoulder": 0.079, "elbow": 0.072,
  "wrist": 0.062, "hip": 0.107, "pelvis": 0.107, "knee": 0.087, "ankle": 0.089,
}  # fmt: skip

# OKS sigma of any other keypoint: that of COCO's shoulders, a body keypoint
# rather than a facial one. CrowdPose has it for head top and neck too.
DEFAULT_SIGMA = 0.079


def _built_in(name: str, keypoint_names: str, **fields: Any) -> Skeleton:
  names = tuple(keypoint_names.split())
  parts = [name.rpartition("_")[2] for name in names]
  sigmas = tuple(_SIGMAS.get(part, DEFAULT_SIGMA) for part in parts)
  return Skeleton(name, names, sigmas=sigmas, **fields)


COCO = _built_in(
  "coco",
  "nose left_eye right_eye left_ear right_ear left_shoulder right_shoulder "
  "left_elbow right_elbow left_wrist right_wrist left_hip right_hip left_knee "
  "right_knee left_ankle right_ankle",
  flip_pairs=tuple((i, i + 1) for i in range(1, 17, 2)),
  limbs=(
    (15, 13), (13, 11), (16, 14), (14, 12), (11, 12), (5, 11), (6, 12),
    (5, 6), (5, 7), (6, 8), (7, 9), (8, 10), (1, 2), (0, 1), (0, 2), (1, 3),
    (2, 4), (3, 5), (4, 6),
  ),
  upper_body=tuple(range(11)),
  lower_body=tuple(range(11, 17)),
)  # fmt: skip

MPII = _built_in(
  "mpii",
  "right_ankle right_knee right_hip left_hip left_knee left_ankle pelvis "
  "thorax upper_neck head_top right_wrist right_elbow right_shoulder "
  "left_shoulder left_elbow left_wrist",
  flip_pairs=((5, 0), (4, 1), (3, 2), (15, 10), (14, 11), (13, 12)),
  limbs=(
    (0, 1), (1, 2), (2, 6), (6, 3), (3, 4), (4, 5), (6, 7), (7, 8), (8, 9),
    (10, 11), (11, 12), (12, 7), (7, 13), (13, 14), (14, 15),
  ),
  upper_body=tuple(range(7, 16)),
  lower_body=tuple(range(7)),
)  # fmt: skip

LSP = _built_in(
  "lsp",
  "right_ankle right_knee right_hip left_hip left_knee left_ankle right_wrist "
  "right_elbow right_shoulder left_shoulder left_elbow left_wrist neck "
  "head_top",
  flip_pairs=((5, 0), (4, 1), (3, 2), (11, 6), (10, 7), (9, 8)),
  limbs=(
    (0, 1), (1, 2), (3, 4), (4, 5), (6, 7), (7, 8), (9, 10), (10, 11),
    (12, 13), (8, 12), (9, 12), (2, 8), (3, 9), (2, 3),
  ),
  upper_body=tuple(range(6, 14)),
  lower_body=tuple(range(6)),
)  # fmt: skip

_BY_NAME = {skeleton.name: skeleton for skeleton in (COCO, MPII, LSP)}
_SIGMA_BY_NAME = {
  name: sigma
  for skeleton in _BY_NAME.values()
  for name, sigma in zip(skeleton.keypoint_names, skeleton.sigmas, strict=True)
}


def get_skeleton(name: str) -> Skeleton:
  """Returns the built-in skeleton of a name: coco, mpii or lsp.

  Raises:
    ValueError: unknown name; the message lists the built-in ones.
  """
  if name not in _BY_NAME:
    raise ValueError(
      f"unknown skeleton {name!r}; built in: {', '.join(_BY_NAME)}. For others "
      "use skeletons.from_coco_category on the category of a COCO file."
    )
  return _BY_NAME[name]


def from_coco_category(category: Mapping[str, Any]) -> Skeleton:
  """Returns the skeleton that a category of a COCO json file describes.

  What the file does not say is read from the names: `left_x` pairs with
  `right_x` (also `x_left`, `l_x`, `x.L`, `LX`...), names of hips and below are
  the lower body, and sigmas are those of the same name in COCO, MPII or LSP,
  else `DEFAULT_SIGMA`.

  Args:
    category: with `name`, `keypoints` (K names) and optionally `skeleton`
      (pairs that count from 1), `sigmas`, `flip_pairs`, `upper_body` and
      `lower_body` (indices that count from 0).

  Raises:
    ValueError: no keypoint names, or the parts contradict each other.

  >>> category = {"name": "hand", "skeleton": [[1, 2], [1, 3]],
  ...             "keypoints": ["palm", "left_tip", "right_tip"]}
  >>> from_coco_category(category).flip_pairs
  ((1, 2),)
  """
  names = tuple(category.get("keypoints") or ())
  if not names:
    raise ValueError(
      f"category {category.get('name')!r} has no 'keypoints': expected the "
      "list of K keypoint names; add it to the json's categories"
    )
  keypoint_names.check(names)

  def given(field: str, default):
    value = category.get(field)
    return _tuples(default if value is None else value)

  indices, limbs = range(len(names)), category.get("skeleton") or ()
  guessed = [i for i in indices if keypoint_names.is_lower_body(names[i])]
  lower = given("lower_body", guessed)
  return Skeleton(
    name=str(category.get("name", "custom")),
    keypoint_names=names,
    flip_pairs=given("flip_pairs", keypoint_names.guess_flip_pairs(names)),
    limbs=tuple((int(a) - 1, int(b) - 1) for a, b in limbs),
    upper_body=given("upper_body", [i for i in indices if i not in lower]),
    lower_body=lower,
    sigmas=tuple(map(float, given("sigmas", guess_sigmas(names)))),
  )


def guess_sigmas(names: Sequence[str]) -> tuple[float, ...]:
  """Returns OKS sigmas by name: COCO's, MPII's, LSP's, else `DEFAULT_SIGMA`.

  >>> guess_sigmas(["nose", "tail"])
  (0.026, 0.079)
  """
  return tuple(_SIGMA_BY_NAME.get(n.lower(), DEFAULT_SIGMA) for n in names)


def knows(name: str) -> bool:
  """Returns whether a built-in skeleton has a keypoint of that name."""
  return name.lower() in _SIGMA_BY_NAME
