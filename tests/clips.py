"""Short video files."""

import fractions
import pathlib
import struct

import av
import numpy as np


def plain(rgb, size=(32, 48)) -> np.ndarray:
  """A frame (height, width) of one colour."""
  return np.full((*size, 3), rgb, np.uint8)


def write(path, frames, *, rate=25, seconds=None, codec="mjpeg", start=0.0):
  """Writes uint8 RGB frames; `seconds` are their times, by default n / rate."""
  rate = fractions.Fraction(rate)
  tick = fractions.Fraction(1, 1000) if seconds else 1 / rate
  seconds = seconds or [n / rate for n in range(len(frames))]
  options = {"qmin": "2", "qmax": "2"} if codec != "libx264" else {"crf": "10"}
  with av.open(str(path), "w") as file:
    stream = file.add_stream(codec, rate=rate, options=options)
    stream.height, stream.width = frames[0].shape[:2]
    stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
    stream.codec_context.time_base = tick
    for rgb, time in zip(frames, seconds, strict=True):
      frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(rgb), "rgb24")
      frame.pts, frame.time_base = round((start + time) / tick), tick
      file.mux(stream.encode(frame))
    file.mux(stream.encode())


def turn(path: pathlib.Path, matrix) -> None:
  """Sets the display matrix (a, b, c, d) of an mp4's track."""
  a, b, c, d = matrix
  data = bytearray(path.read_bytes())
  # ISO/IEC 14496-12, 8.3.2: version 0, 40 bytes before the matrix.
  at = data.index(b"tkhd") + 4 + 40
  one = 1 << 16
  rows = (a * one, b * one, 0, c * one, d * one, 0, 0, 0, 1 << 30)
  data[at : at + 36] = struct.pack(">9i", *rows)
  path.write_bytes(data)
