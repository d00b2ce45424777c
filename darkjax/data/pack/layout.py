"""Layout of canvases: the parts of images that a person's crops can show.

A canvas is such a part, [h, w, 3] uint8, never enlarged. Each begins a page of
`PAGE` pixels and fills it row by row; a device needs one array; its indices
stay below 2³¹ where a data set has more bytes.
"""

import dataclasses

import numpy as np

from darkjax import geometry

PAGE = 1024  # pixels
PAGE_BYTES = 3 * PAGE


@dataclasses.dataclass(frozen=True, eq=False)
class Layout:
  """The places of N people's canvases in their images and in the pages."""

  window: np.ndarray  # [N, 4] int32 (y, x, height, width), image px
  size: np.ndarray  # [N, 2] int32 (height, width), canvas px
  first_page: np.ndarray  # [N] int32
  checksum: np.ndarray  # [N] uint32, CRC-32 of each canvas; 0 until written

  @property
  def pages(self) -> np.ndarray:
    """[N] int64, the number of pages of each canvas."""
    return pages_of(self.size)

  @property
  def shape(self) -> tuple[int, int, int]:
    """(M, PAGE, 3), of the array of all pages."""
    return int(self.pages.sum()), PAGE, 3

  def rows(self, index: np.ndarray) -> "Layout":
    """Returns the canvases at `index` (positions or a mask)."""
    return Layout(**{name: array[index] for name, array in vars(self).items()})

  def canvas_from_image(self) -> np.ndarray:
    """Returns [N, 2, 3] float64, px; the edges of window and canvas agree."""
    factor = self.size[:, ::-1] / self.window[:, :1:-1]
    offset = (0.5 - self.window[:, 1::-1]) * factor - 0.5
    matrix = np.zeros((len(factor), 2, 3))
    matrix[:, (0, 1), (0, 1)] = factor
    matrix[:, :, 2] = offset
    return matrix

  def covers(self, bounds: np.ndarray, image_size: np.ndarray) -> np.ndarray:
    """Returns [N] bool: canvases hold all that crops within bounds show.

    `bounds` [N, 4] are (left, top, right, bottom), image px, of all crops.
    """
    to_canvas = self.canvas_from_image()
    corners = bounds.reshape(-1, 2, 2)  # left top, right bottom
    low, high = np.moveaxis(geometry.apply_affine(to_canvas, corners), 1, 0)
    first = self.window[:, 1::-1]
    end = first + self.window[:, :1:-1]
    # Where the canvas ends with the image, crops are black in both.
    low_held = (low >= 0) | (first == 0)
    high_held = (high <= self.size[:, ::-1] - 1) | (end == image_size[:, ::-1])
    return (low_held & high_held).all(-1)


def pages_of(size: np.ndarray) -> np.ndarray:
  """Returns the number of pages [...] of canvases of size [..., 2]."""
  return -(-size.astype(np.int64).prod(-1) // PAGE)


def lay_out(
  bounds: np.ndarray, image_size: np.ndarray, shrink: np.ndarray
) -> Layout:
  """Returns the layout of canvases for all that crops can show.

  `shrink` [N], at most 1, is the resolution: canvas px per image px.
  """
  # Neighbours that are blended in lie up to a canvas pixel further out.
  margin = np.ceil(1 / shrink)[:, None] + 1
  last = image_size[:, ::-1] - 1
  first = np.clip(np.floor(bounds[:, :2]) - margin, 0, last)
  end = np.clip(np.ceil(bounds[:, 2:]) + margin, 0, last) + 1
  window_size = (end - first)[:, ::-1]
  size = np.ceil(window_size * shrink[:, None]).astype(np.int32)
  ends = np.cumsum(pages_of(size))
  return Layout(
    window=np.concatenate([first[:, ::-1], window_size], -1).astype(np.int32),
    size=size,
    first_page=(ends - pages_of(size)).astype(np.int32),
    checksum=np.zeros(len(size), np.uint32),
  )
