"""Image files of many kinds, as bytes."""

import io
import struct
import zlib

import coco_folder
import cv2
import numpy as np
import PIL.Image

HEIGHT, WIDTH = 64, 48
PIXELS = coco_folder.image(HEIGHT, WIDTH)


def write(kind: str, mode: str = "RGB", **options) -> bytes:
  buffer = io.BytesIO()
  PIL.Image.fromarray(PIXELS).convert(mode).save(buffer, kind, **options)
  return buffer.getvalue()


def write_deep(suffix: str, values: np.ndarray, *options: int) -> bytes:
  """16 bits per channel, which Pillow writes of grey images alone."""
  values = values[..., ::-1] if values.ndim == 3 else values  # OpenCV is BGR
  return cv2.imencode(suffix, values.astype(np.uint16), options)[1].tobytes()


def with_chunk(png: bytes, kind: bytes, payload: bytes) -> bytes:
  """A PNG with one more chunk after its header."""
  check = struct.pack(">I", zlib.crc32(kind + payload))
  chunk = struct.pack(">I", len(payload)) + kind + payload + check
  return png[:33] + chunk + png[33:]


def without_adobe(jpeg: bytes) -> bytes:
  """A JPEG without the marker that says how its CMYK is to be read."""
  start = jpeg.index(b"\xff\xee")
  return jpeg[:start] + jpeg[start + 2 + jpeg[start + 3] :]


def animated(kind: str) -> bytes:
  frames = [PIL.Image.fromarray(np.roll(PIXELS, 9 * n, 1)) for n in range(3)]
  buffer = io.BytesIO()
  frames[0].save(buffer, kind, save_all=True, append_images=frames[1:])
  return buffer.getvalue()
