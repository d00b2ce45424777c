"""Other implementations of DARK decoding, for the scripts that compare them.

Written from the published algorithm (arXiv:1910.06278, section 3.1), each as
fast as its packages allow; those of transformers and mmpose are their own. All
take [N, K, H, W] float32 heatmaps and give [N, K, 2] (x, y) in heatmap pixels;
except in transformers, a point less than two pixels from the border stays where
the maximum is, as in the authors' code.
"""

import importlib
import importlib.util
import pathlib
import sys
import types
from collections.abc import Callable

import cv2
import numpy as np
import torch

from darkjax.heatmaps import blur

SMALLEST = 1e-10  # the authors clip to this before the logarithm
STENCIL = 2  # px, half width of the derivatives


def authors_loop(heatmaps: np.ndarray, blur_kernel: int) -> np.ndarray:
  """Decodes as the authors: a Python loop over maps, each blurred by OpenCV."""
  num_people, num_keypoints, height, width = heatmaps.shape
  pad = (blur_kernel - 1) // 2
  points = _maxima(heatmaps).astype(np.float64)
  for n in range(num_people):
    for k in range(num_keypoints):
      heatmap = heatmaps[n, k]
      padded = np.zeros((height + 2 * pad, width + 2 * pad))
      padded[pad:-pad, pad:-pad] = heatmap
      padded = cv2.GaussianBlur(padded, (blur_kernel, blur_kernel), 0)
      smooth = padded[pad:-pad, pad:-pad]
      smooth = smooth * (heatmap.max() / smooth.max())
      logs = np.log(np.maximum(smooth, SMALLEST))
      x, y = points[n, k].astype(int)
      if _inside(x, y, height, width):
        gradient, hessian = _derivatives(
          logs[y - STENCIL : y + STENCIL + 1, x - STENCIL : x + STENCIL + 1]
        )
        points[n, k] -= np.linalg.inv(hessian) @ gradient
  return points


def opencv_batch(heatmaps: np.ndarray, blur_kernel: int) -> np.ndarray:
  """Stacks all maps into one tall picture, blurred by one call of OpenCV."""
  num_people, num_keypoints, height, width = heatmaps.shape
  pad = (blur_kernel - 1) // 2
  tall = np.zeros((num_people * num_keypoints, height + pad, width), np.float32)
  tall[:, :height] = heatmaps.reshape(-1, height, width)
  smooth = cv2.GaussianBlur(
    tall.reshape(-1, width),
    (blur_kernel, blur_kernel),
    0,
    borderType=cv2.BORDER_CONSTANT,
  )
  maxima = _maxima(heatmaps).reshape(-1, 2)
  maps = smooth.reshape(tall.shape)[:, :height]
  window = _window(maps, maxima, 2 * STENCIL + 1)
  logs = np.log(np.maximum(window, SMALLEST))
  points = _moved(maxima, logs, height, width)
  return points.reshape(num_people, num_keypoints, 2)


def numpy_windows(heatmaps: np.ndarray, blur_kernel: int) -> np.ndarray:
  """Blurs only the window around each maximum, by two small products."""
  num_people, num_keypoints, height, width = heatmaps.shape
  maxima = _maxima(heatmaps).reshape(-1, 2)
  band = _band(blur_kernel)
  maps = heatmaps.reshape(-1, height, width)
  window = _window(maps, maxima, band.shape[1])
  logs = np.log(np.maximum(band @ window @ band.T, SMALLEST))
  points = _moved(maxima, logs, height, width)
  return points.reshape(num_people, num_keypoints, 2)


def torch_windows(
  blur_kernel: int, device: str = "cpu"
) -> Callable[[torch.Tensor], torch.Tensor]:
  """Returns the same in PyTorch, for torch.compile."""
  band = torch.from_numpy(_band(blur_kernel)).to(device)
  size = band.shape[1]
  offsets = torch.arange(size, device=device) - size // 2

  def decode(heatmaps: torch.Tensor) -> torch.Tensor:
    num_people, num_keypoints, height, width = heatmaps.shape
    flat = heatmaps.reshape(-1, height * width)
    place = flat.argmax(1)
    x, y = place % width, place // width
    rows, columns = y[:, None] + offsets, x[:, None] + offsets
    inside_y = (rows >= 0) & (rows < height)
    inside_x = (columns >= 0) & (columns < width)
    rows = rows.clamp(0, height - 1)
    columns = columns.clamp(0, width - 1)
    index = (rows[:, :, None] * width + columns[:, None]).reshape(len(flat), -1)
    window = flat.gather(1, index).reshape(-1, size, size)
    window = window * (inside_y[:, :, None] & inside_x[:, None])
    logs = (band @ window @ band.T).clamp_min(SMALLEST).log()
    step_x, step_y = _newton(logs)
    ok = (x > 1) & (x < width - 2) & (y > 1) & (y < height - 2)
    points = torch.stack(
      [x + torch.where(ok, step_x, 0.0), y + torch.where(ok, step_y, 0.0)], -1
    )
    return points.reshape(num_people, num_keypoints, 2)

  return decode


def heatmaps_to_keypoints(
  blur_kernel: int,
) -> Callable[[torch.Tensor], torch.Tensor] | None:
  """Returns PyPI's package of that name, or None where it does not run.

  It is compiled for PyTorch 2.10: with 2.9 it cannot be imported, and with 2.13
  and 2.15 it rejects tensors.
  """
  try:
    import heatmaps_to_keypoints as package
  except ImportError:
    return None
  if not torch.__version__.startswith("2.10."):
    return None

  def decode(heatmaps: torch.Tensor) -> torch.Tensor:
    # With a box as large as the map, mapping back is the identity.
    size = torch.tensor(heatmaps.shape[:1:-1], dtype=torch.float32)
    center, scale = (
      part.repeat(len(heatmaps), 1) for part in (size / 2, size / 200)
    )
    points, _ = package.keypoints_from_heatmaps(
      heatmaps, center, scale, True, "unbiased", blur_kernel
    )
    return points

  return decode


def hugging_face(
  blur_kernel: int,
) -> Callable[[np.ndarray], np.ndarray] | None:
  """Returns VitPose's decoder of transformers, or None where it is missing.

  It blurs with sigma 0.8 whatever the size, and raises what is below 0.001.
  """
  try:
    from transformers.models.vitpose import image_processing_vitpose as package
  except ImportError:
    return None

  def decode(heatmaps: np.ndarray) -> np.ndarray:
    points, _ = package.get_keypoint_predictions(heatmaps)
    return package.post_dark_unbiased_data_processing(
      points, heatmaps, kernel=blur_kernel
    )

  return decode


def mmpose(blur_kernel: int) -> Callable[[np.ndarray], np.ndarray] | None:
  """Returns the DARK decoder of mmpose 1, or None where it is missing.

  Its two files need neither mmcv nor mmengine, which `import mmpose` does; so
  they are imported as a package of their own.
  """
  spec = importlib.util.find_spec("mmpose")
  if spec is None or spec.origin is None:
    return None
  name = "mmpose_codecs_utils"
  if name not in sys.modules:
    folder = pathlib.Path(spec.origin).parent / "codecs" / "utils"
    sys.modules[name] = types.ModuleType(name)
    sys.modules[name].__path__ = [str(folder)]
  maximum = importlib.import_module(f"{name}.post_processing")
  refinement = importlib.import_module(f"{name}.refinement")

  def decode(heatmaps: np.ndarray) -> np.ndarray:
    points = []
    for person in heatmaps:  # [K, H, W], as its codec is called
      maxima, _ = maximum.get_heatmap_maximum(person)
      refined = refinement.refine_keypoints_dark(
        maxima[None], person.copy(), blur_kernel_size=blur_kernel
      )
      points.append(refined[0])
    return np.stack(points)

  return decode


def _maxima(heatmaps):
  """Returns [..., 2], integer (x, y) of the first maxima."""
  *leading, height, width = heatmaps.shape
  place = heatmaps.reshape(*leading, height * width).argmax(-1)
  return np.stack([place % width, place // width], -1)


def _band(blur_kernel):
  """Returns [5, k + 4]: from a window's rows to the stencil's blurred rows."""
  taps = blur.gaussian_taps(blur_kernel).astype(np.float32)
  rows = 2 * STENCIL + 1
  band = np.zeros((rows, len(taps) + rows - 1), np.float32)
  for row in range(rows):
    band[row, row : row + len(taps)] = taps
  return band


def _inside(x, y, height, width):
  return (1 < x) & (x < width - 2) & (1 < y) & (y < height - 2)


def _window(maps, maxima, size):
  """Cuts [M, size, size] out of maps [M, H, W] around maxima, 0 outside."""
  offsets = np.arange(size) - size // 2
  height, width = maps.shape[1:]
  rows, columns = maxima[:, 1, None] + offsets, maxima[:, 0, None] + offsets
  inside_y = (rows >= 0) & (rows < height)
  inside_x = (columns >= 0) & (columns < width)
  rows, columns = rows.clip(0, height - 1), columns.clip(0, width - 1)
  index = np.arange(len(maps))[:, None, None]
  window = maps[index, rows[:, :, None], columns[:, None]]
  return window * (inside_y[:, :, None] & inside_x[:, None])


def _moved(maxima, logs, height, width):
  """Adds the Taylor step of logs [M, 5, 5] to maxima [M, 2] inside the map."""
  inside = _inside(maxima[:, 0], maxima[:, 1], height, width)
  step = np.where(inside[:, None], np.stack(_newton(logs), -1), 0.0)
  return maxima + step


def _newton(logs):
  """Returns the step (x, y) of Eq. 6 from logs [..., 5, 5] at a maximum."""
  (dx, dy), ((dxx, dxy), (_, dyy)) = _derivatives(logs)
  determinant = dxx * dyy - dxy * dxy
  x = -(dyy * dx - dxy * dy) / determinant
  y = -(dxx * dy - dxy * dx) / determinant
  return x, y


def _derivatives(logs):
  """Returns the authors' gradient and Hessian of logs [..., 5, 5]."""
  dx = 0.5 * (logs[..., 2, 3] - logs[..., 2, 1])
  dy = 0.5 * (logs[..., 3, 2] - logs[..., 1, 2])
  dxx = 0.25 * (logs[..., 2, 4] - 2 * logs[..., 2, 2] + logs[..., 2, 0])
  dyy = 0.25 * (logs[..., 4, 2] - 2 * logs[..., 2, 2] + logs[..., 0, 2])
  dxy = 0.25 * (
    logs[..., 3, 3] - logs[..., 1, 3] - logs[..., 3, 1] + logs[..., 1, 1]
  )
  return (dx, dy), ((dxx, dxy), (dxy, dyy))
