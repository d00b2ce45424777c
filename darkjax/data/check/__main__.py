"""Explains a data set before anyone trains on it.

    python -m darkjax.data.check train.json --images=photos

Reads a COCO-format keypoint json and the headers of its images, and tells what
is in them, what is wrong, what it will do to training and scoring, and the fix.
Every finding is an error (training refuses the data), a warning (it runs, but
learns or scores something wrong) or a note (odd, or wrong in less than 1 % of
the people). Exit status 1 with an error or a warning, else 0.

`--repeated=again.json` estimates OKS sigmas from people labelled twice (see
sigmas.py), `--write=complete.json` writes the json with the flip pairs, limbs
and sigmas filled into its category, `--json` prints all for machines.
"""

import json
import math
import re

from darkjax.data.check import report as report_lib
from darkjax.runtime import command


def main(flags: command.Flags, arguments) -> int:
  """Prints the report; returns 1 with an error or a warning, else 0."""
  if len(arguments) != 1:
    raise ValueError("give one json: check train.json --images=FOLDER")
  report = report_lib.check(
    arguments[0],
    flags.images,
    category=flags.category,
    repeated=flags.repeated,
    crop_size=tuple(int(n) for n in flags.crop.split("x")),
    padding=flags.padding,
  )
  if flags.json:
    print(json.dumps(report.to_json(), allow_nan=False))
  else:
    print(report.text())
  if flags.write and report.labels is not None:
    report_lib.write_completed(report, flags.write)
  return report.exit_status


def define_flags(define: command.Define) -> None:
  """Adds the flags of `main`."""
  define.string("images", None, "Folder of its images.")
  define.string("category", None, "Which, if several differ.")
  define.string(
    "repeated", None, "json that labels the same people again, for sigmas."
  )
  define.string("crop", "256x192", "height x width of the input.")
  define.float("padding", report_lib.PADDING, "Factor on the box.")
  define.string("write", None, "Completed json to write.")
  define.bool("json", False, "Print all for machines.")
  define.check(
    "crop",
    lambda text: re.fullmatch("[1-9][0-9]*x[1-9][0-9]*", text),
    "height x width in px, such as 256x192",
  )
  define.check(
    "padding", lambda factor: 0 < factor < math.inf, "a factor above 0"
  )


if __name__ == "__main__":
  command.run(main, define_flags)
