"""Overlays of a batch: the red is where the target is."""

import numpy as np

from configs import quickstart
from darkjax import convention as convention_lib
from darkjax import skeletons
from darkjax.train import tensorboard

SIZE = (64, 48)


def test_targets_lie_over_the_crops_pixel():
  fields = quickstart.get_config().convention
  fields.crop_size = SIZE
  convention = convention_lib.from_config(fields, skeleton=skeletons.COCO)
  keypoints = np.full((2, 17, 2), 5.0, np.float32)
  # Row 0 has one keypoint at crop (22, 30), row 1 none with a label.
  crop_point = np.array([22.0, 30.0, 1.0])
  keypoints[0, 3] = convention.heatmap_from_crop() @ crop_point
  visibility = np.zeros((2, 17), np.float32)
  visibility[0, 3] = 1
  batch = {
    "image": np.full((2, *SIZE, 3), 90, np.uint8),
    "keypoints_heatmap": keypoints,
    "visibility": visibility,
    "image_from_heatmap": np.zeros((2, 2, 3), np.float32),
    "mask": np.ones(2, np.float32),
  }
  sheet = np.asarray(tensorboard.targets_sheet(batch, convention)).astype(int)
  crops = sheet[:, :48], sheet[:, 52:100]
  assert (crops[1] == 90).all()
  red = crops[0][..., 0] - crops[0][..., 1]
  ys, xs = np.mgrid[:64, :48]
  centre = [(red * axis).sum() / red.sum() for axis in (xs, ys)]
  # Bilinear interpolation of a Gaussian of 1 or 2 cells keeps its mean; 8-bit
  # rounding moves it by hundredths.
  np.testing.assert_allclose(centre, [22, 30], atol=0.1)
