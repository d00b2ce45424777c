"""Check of a data set before anyone trains on it.

    python -m darkjax.data.check train.json --images=photos

Prints what is in a COCO-format keypoint json and the headers of its images,
what is wrong, what that does to training and scoring, and the fix. A finding is
an error (training refuses the data), a warning (it runs, but learns or scores
something wrong) or a note; the exit status is 1 with an error or a warning.
"""

import json
import re

from darkjax.data.check import report as report_lib
from darkjax.data.images import frame_flags
from darkjax.runtime import command, files


def main(flags: command.Flags, arguments) -> int:
  """Prints the report; returns 1 with an error or a warning, else 0."""
  if len(arguments) != 1:
    raise ValueError("give one json: check train.json --images=FOLDER")
  if flags.write:
    files.check_not_read(flags.write, arguments[0])
  height, width = map(int, flags.crop.split("x"))
  report = report_lib.check(
    arguments[0],
    flags.images,
    category=flags.category,
    repeated=flags.repeated,
    crop_size=(height, width),
    padding=flags.padding,
    upright=frame_flags.read(flags),
  )
  print(json.dumps(report.to_json()) if flags.json else report.text())
  if flags.write and report.labels is not None:
    report_lib.write_completed(report, flags.write)
  return report.exit_status


def define_flags(define: command.Define) -> None:
  """Adds the flags of `main`."""
  define.string("images", None, "Folder of the images.")
  define.string("category", None, "Category to check, if several differ.")
  define.string(
    "repeated", None, "json that labels the same people again, for sigmas."
  )
  frame_flags.define(define, "the pixels as stored, with a warning")
  define.string("crop", "256x192", "Size of the network's input, HxW in px.")
  define.float("padding", report_lib.PADDING, "Factor on the box.")
  define.string("write", None, "Path for the json with completed category.")
  define.bool("json", False, "Print everything as json.")
  define.check(
    "crop",
    lambda text: re.fullmatch("[1-9][0-9]*x[1-9][0-9]*", text),
    "height x width in px, such as 256x192",
  )


if __name__ == "__main__":
  command.run(main, define_flags)
