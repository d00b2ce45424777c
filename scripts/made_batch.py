"""A batch of made-up people, for benchmarks of training steps."""

import numpy as np


def make_batch(
  count: int, size: tuple[int, int] = (128, 96)
) -> dict[str, np.ndarray]:
  """What a training step needs of `count` people in crops (height, width).

  Returns:
    Fields `schema.DEVICE_FIELDS`: noise for images, 17 keypoints at random.
  """
  height, width = size
  noise = np.random.default_rng(0)
  corner = [width / 4 - 4, height / 4 - 4]  # heatmap px
  points = noise.uniform([2, 2], corner, (count, 17, 2))
  return {
    "image": noise.integers(0, 256, (count, height, width, 3), np.uint8),
    "keypoints_heatmap": points.astype(np.float32),
    "visibility": np.ones((count, 17), np.float32),
    "image_from_heatmap": np.tile(np.eye(2, 3, dtype="f4"), (count, 1, 1)),
    "mask": np.ones(count, np.float32),
  }
