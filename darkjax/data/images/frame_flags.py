"""Flags `--upright` and `--stored`: which frame labels or boxes are of."""

from darkjax.runtime import command


def define(flags: command.Define, default: str) -> None:
  """Adds the two flags; the default is in words, for the help."""
  flags.bool(
    "upright",
    False,
    "Turn images by their EXIF tag, as viewers and Ultralytics do; default: "
    f"{default}.",
  )
  flags.bool(
    "stored", False, "Take the pixels as stored, as COCO's tools count them."
  )


def read(flags: command.Flags) -> bool | None:
  """Returns True for upright, False for stored, None for neither flag."""
  if flags.upright and flags.stored:
    raise ValueError("give --upright or --stored, not both")
  return True if flags.upright else False if flags.stored else None
