"""Pictures of one keypoint: the photograph and the heatmap around it."""

import math
from collections.abc import Sequence

import numpy as np
import PIL.Image
from PIL import ImageDraw, ImageFont

from darkjax import geometry
from darkjax.data.images import photo as photo_lib
from darkjax.demo.decoders import Point, find_dark, name_of
from darkjax.inference.people import Person
from darkjax.viz import draw

_SIDE = 900  # px of a panel, about
_LEAST, _MOST = 5, 12  # heatmap px to each side of the maximum
_OUTSIDE = 90  # grey level beyond the heatmap
# Of Okabe and Ito, which colour-blind people tell apart; shapes differ too.
_COLORS = {
  "argmax": (86, 180, 233),
  "standard": (240, 228, 66),
  "dark": (213, 94, 0),
  "integral": (204, 121, 167),
}
# Corners of the shapes, and by which part of a turn they are turned.
_SHAPES = {
  "argmax": (4, 0.125),
  "standard": (3, 0.75),
  "dark": (48, 0.0),
  "integral": (4, 0.0),
}
_MARKER, _TEXT, _LEGEND = 17, 34, 64  # px


class Panels:
  """A window of a heatmap around its maximum, enlarged.

  Attributes:
    from_heatmap: [2, 3], px: maps (x, y) of the heatmap into the panels.
    side: of the panels, px.
  """

  def __init__(self, points: Sequence[Point]):
    """Places the window so that it holds DARK's ellipse of two sigma."""
    dark = find_dark(points)
    variance = np.nan_to_num(dark.covariance_heatmap).max()
    reach = math.ceil(2 * math.sqrt(variance)) + 2
    self.radius = min(max(reach, _LEAST), _MOST)
    self.corner = np.rint(dark.heatmap).astype(int) - self.radius
    self.zoom = _SIDE // (2 * self.radius + 1)
    self.side = self.zoom * (2 * self.radius + 1)
    shift = (0.5 - self.corner) * self.zoom - 0.5
    self.from_heatmap = np.column_stack([np.eye(2) * self.zoom, shift])

  def place(self, points: np.ndarray) -> np.ndarray:
    """Returns heatmap points (x, y) [..., 2] as Pillow draws them, px."""
    return (points - self.corner + 0.5) * self.zoom

  def of_heatmap(self, heatmap: np.ndarray) -> PIL.Image.Image:
    """Returns the cells of a heatmap [H, W]: white where it is highest."""
    height, width = heatmap.shape
    cells = np.arange(2 * self.radius + 1)
    columns, rows = (cells + self.corner[axis] for axis in (0, 1))
    values = heatmap[
      np.ix_(rows.clip(0, height - 1), columns.clip(0, width - 1))
    ]
    values = np.clip(values, 0, None) / max(heatmap.max(), 1e-12)
    inside = np.outer(
      (rows >= 0) & (rows < height), (columns >= 0) & (columns < width)
    )
    grey = np.where(inside, np.rint(255 * values), _OUTSIDE).astype(np.uint8)
    grey = grey.repeat(self.zoom, axis=0).repeat(self.zoom, axis=1)
    return PIL.Image.fromarray(grey).convert("RGB")

  def of_photograph(
    self, pixels: np.ndarray, image_from_heatmap: np.ndarray
  ) -> PIL.Image.Image:
    """Returns what the photograph [H, W, 3] shows under the same cells."""
    from_image = geometry.compose(
      self.from_heatmap, geometry.invert(image_from_heatmap)
    )
    size = (self.side, self.side)
    return PIL.Image.fromarray(photo_lib.warp(pixels, from_image, size))


def draw_keypoint(
  pixels: np.ndarray, person: Person, k: int, points: Sequence[Point]
) -> tuple[PIL.Image.Image, PIL.Image.Image]:
  """Draws where each decoder sees a keypoint.

  Args:
    pixels: [H, W, 3] uint8, the photograph.
    person: with heatmaps.
    k: of the keypoint.
    points: of `decoders.decode`.

  Returns:
    The photograph and the heatmap around the keypoint, one window of both, with
    the points and DARK's ellipses of one and two sigma.
  """
  heatmaps, matrix = person.heatmaps, person.image_from_heatmap
  assert heatmaps is not None
  assert matrix is not None
  panels = Panels(points)
  photograph = panels.of_photograph(pixels, matrix)
  heatmap = panels.of_heatmap(np.asarray(heatmaps[..., k], np.float32))
  return (
    _with_points(photograph, panels, points),
    _with_points(heatmap, panels, points),
  )


def _with_points(picture, panels, points) -> PIL.Image.Image:
  """Returns a panel with ellipses, markers and, below, their legend."""
  full = PIL.Image.new("RGB", (panels.side, panels.side + _LEGEND), "white")
  full.paste(picture)
  drawing = ImageDraw.Draw(full)
  dark = find_dark(points)
  centers = np.tile(dark.heatmap, (2, 1))
  covariances = dark.covariance_heatmap * np.array([1.0, 4.0])[:, None, None]
  outlines = draw.ellipses(centers, covariances, np.array([True, True]))
  for n, outline in outlines.items():
    line = panels.place(outline)
    line = [*map(tuple, line), tuple(line[0])]
    for color, width in (((0, 0, 0), 9), (_COLORS["dark"], 5)):
      drawing.line(line, color, width, joint="curve")
    top = min(line, key=lambda point: point[1])
    write_plate(drawing, top, f"{n + 1} sigma", _TEXT)
  for point in points:
    draw_marker(drawing, panels.place(point.heatmap), point.method)
  drawing.rectangle((0, panels.side, *full.size), "white")
  x = float(_TEXT)
  for point in points:
    y = panels.side + _LEGEND / 2
    draw_marker(drawing, (x, y), point.method)
    font = ImageFont.load_default(_TEXT)
    text = name_of(point.method)
    drawing.text((x + _TEXT, y), text, (0, 0, 0), font, anchor="lm")
    x += 2.5 * _TEXT + drawing.textlength(text, font)
  return full


def draw_marker(drawing, point, method: str) -> None:
  """Draws a decoder's sign: an open shape, and a dot at the point itself."""
  corners, turn = _SHAPES[method]
  angles = 2 * np.pi * (np.arange(corners) / corners + turn)
  radius = _MARKER * (1.3 if corners < 5 else 1.0)
  ring = np.stack([np.cos(angles), np.sin(angles)], -1) * radius + point
  line = [tuple(corner) for corner in (*ring, *ring[:2])]
  for color, width in (((0, 0, 0), 11), (_COLORS[method], 5)):
    drawing.line(line, color, width, joint="curve")
    draw.draw_dot(drawing, point, width * 0.6, color)


def write_plate(drawing, corner, text: str, size: int) -> None:
  """Writes white on black into the lower left corner of a box."""
  font = ImageFont.load_default(size)
  x, y = corner
  width = drawing.textlength(text, font) + size / 2
  drawing.rectangle((x, y - size, x + width, y), "black")
  middle = (x + width / 2, y - size / 2)
  drawing.text(middle, text, "white", font, anchor="mm")
