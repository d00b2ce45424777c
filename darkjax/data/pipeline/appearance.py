"""How a crop's pixels change in training: colours, a patch, blur, JPEG.

None of it is the paper's: all of it is off by default. `tf_crop.change` applies
the parameters.
"""

import numpy as np

from darkjax.data.pipeline.augment import Augmentation

# Parameters of an example: the matrix [3, 4] from colours and 1 to colours, the
# patch's left, top, right and bottom (px; empty for none), its colour (0..255),
# the blur's standard deviation (px; 0 for none), JPEG's quality (0 for none).
SIZE = 12 + 4 + 3 + 1 + 1

_GREY = np.array([0.299, 0.587, 0.114])  # weights of R, G, B, ITU-R BT.601
_LARGEST_PATCH = 0.4  # of the crop's sides
_BLUR = (0.5, 1.5)  # px
_QUALITY = (15, 75)


def parameters(
  augmentation: Augmentation, uniform: np.ndarray, crop_size: tuple[int, int]
) -> np.ndarray:
  """Returns how the pixels of B crops change: [B, SIZE] float32.

  `color_factor` f multiplies light, contrast and saturation by one random
  factor each in 1 - f..1 + f, and red, green and blue by one each in
  1 - f/4..1 + f/4. A patch of one colour has up to 0.4 of the crop's sides and
  its centre anywhere in it, blur a standard deviation of 0.5 to 1.5 px, JPEG a
  quality of 15 to 75; each comes with its probability.

  `uniform` [B, 18] is random in [0, 1), `crop_size` (height, width), px.
  """
  spread = augmentation.color_factor
  light, contrast, saturation = 1 + spread * (2 * uniform[:, :3].T - 1)
  channels = 1 + spread / 4 * (2 * uniform[:, 3:6] - 1)
  matrix = np.zeros((len(uniform), 3, 4))
  saturation = saturation[:, None, None]
  matrix[..., :3] = saturation * np.eye(3) + (1 - saturation) * _GREY
  matrix[..., :3] *= (light * contrast)[:, None, None] * channels[..., None]
  matrix[..., 3] = 127.5 * (1 - contrast)[:, None]
  size = np.array(crop_size[::-1])
  patch = uniform[:, 6] < augmentation.occlusion_probability
  half = _LARGEST_PATCH / 2 * uniform[:, 7:9] * size * patch[:, None]
  center = uniform[:, 9:11] * size
  color = 255 * uniform[:, 11:14]
  blurred = uniform[:, 14] < augmentation.blur_probability
  blur = blurred * _between(_BLUR, uniform[:, 15])
  coded = uniform[:, 16] < augmentation.jpeg_probability
  quality = coded * np.floor(_between(_QUALITY, uniform[:, 17]))
  return np.concatenate(
    [
      matrix.reshape(-1, 12),
      *(center - half, center + half, color),
      np.stack([blur, quality], -1),
    ],
    -1,
    dtype=np.float32,
  )


def _between(limits: tuple[float, float], share: np.ndarray) -> np.ndarray:
  return limits[0] + (limits[1] - limits[0]) * share
