"""People of three keypoints, the second of which has no covariance."""

import colours
import numpy as np

from darkjax.inference.people import People, Person
from darkjax.metrics.calibration import Calibration

IMAGE = np.zeros((40, 60, 3), np.uint8)
CALIBRATION = Calibration(
  "dark", True, 0.05, (0.5, 1.5, -1.0, -2.0), (-3.5, -0.5, 0.7, 0.4)
)


def make_person(n=0, **fields):
  rng = np.random.default_rng(n)
  covariances = np.tile(np.diag([2.0, 3.0]), (3, 1, 1)).astype(np.float32)
  covariances[1] = np.nan
  return Person(
    rng.uniform(0, 40, (3, 2)).astype(np.float32),
    np.array([0.9, 0.1, 0.5], np.float32),
    covariances,
    np.array([1.0 + n, 2.0, 30.0, 20.0]),
    colours.SKELETON,
    IMAGE,
    **fields,
  )


def make_people(count, **fields):
  people = [make_person(n, **fields) for n in range(count)]
  return People(people, IMAGE, colours.SKELETON)
