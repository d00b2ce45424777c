r"""Labels of other tools as a COCO-format json, checked.

    python -m darkjax.convert SOURCE --out=train.json

reads a project of DeepLabCut, SLEAP, lightning-pose, Label Studio, YOLO-pose,
COCO, CVAT or labelme (a file or a folder, recognised by its content), writes
the json, and prints what `data.check` says of it. Splits go to jsons of their
own: of --out=train.json to train.json, val.json and test.json, of dogs.json to
dogs.json, dogs_val.json and dogs_test.json. Images inside other files are
written to a folder beside the json, named after it.

The exit status is 1 with an error or a warning, of the check or of the
conversion; the jsons are written then too.
"""

import math
import pathlib

from darkjax.convert import boxes, recognise, report, splits, writer
from darkjax.convert.labels import Frame, Labels, number_labelled
from darkjax.data.check import report as check_lib
from darkjax.runtime import command, files


def main(flags: command.Flags, arguments) -> int:
  """Writes the jsons and prints the reports; returns the check's status."""
  if len(arguments) != 1:
    raise ValueError("give one project: convert SOURCE --out=train.json")
  source, out = pathlib.Path(arguments[0]), pathlib.Path(flags.out)
  if out.suffix != ".json":
    raise ValueError(f"--out is the name of a .json, got {out}")
  folders = [pathlib.Path(flags.images)] if flags.images else []
  if folders and not folders[0].is_dir():
    raise FileNotFoundError(f"no folder of images {flags.images}: --images")
  kind, labels = recognise.read(
    source, kind=flags.format, images=folders, keypoints=flags.keypoints
  )
  if not any(map(number_labelled, labels.people())):
    raise ValueError(
      f"{source}: nobody has a labelled keypoint in its {len(labels.images)} "
      f"images ({kind}); left out: {_left_out(labels)}"
    )
  if flags.val is not None:
    splits.hold_out(labels, flags.val)
  paths = splits.split_paths(out, labels.splits())
  frames = any(isinstance(i.source, Frame) for i in labels.images)
  writer.check_not_source(source, paths.values())
  if not flags.overwrite:
    written = [writer.frame_folder(out)] if frames else []
    writer.check_absent([*paths.values(), *written])
  files.check_writable(out)
  base = folders[0] if folders else out.parent
  warnings = report.warnings(labels)
  writer.write_frames(labels.images, writer.frame_folder(out))
  made = writer.make_boxes(labels, flags.padding)
  writer.write(kind, labels, paths, base)
  warnings += writer.find_earlier(out, paths)
  print(report.text(kind, source, labels, made, flags.padding, paths))
  for warning in warnings:
    print(f"  WARNING {warning}")
  status = 1 if warnings else 0
  return max([status, *(_check(labels, s, p, base) for s, p in paths.items())])


def _left_out(labels: Labels) -> str:
  listed = [f"{n} {why}" for why, n in labels.left_out.items() if n]
  return ", ".join(listed) or "nothing"


def _check(
  labels: Labels, split: str, path: pathlib.Path, base: pathlib.Path
) -> int:
  """Prints the check of a json, one for each set of keypoints."""
  people = [p for i in labels.images if i.split == split for p in i.people]
  names = {p.category.keypoints: p.category.name for p in people}
  several = len({c.keypoints for c in labels.categories()}) > 1
  status = 0
  for name in names.values():
    checked = check_lib.check(path, base, category=name if several else None)
    print(f"\n{checked.text()}")
    status = max(status, checked.exit_status)
  return status


def define_flags(define: command.Define) -> None:
  """Adds the flags of `main`."""
  define.string("out", None, "json to write.", required=True)
  define.string("images", None, "Folder of the images, if they lie elsewhere.")
  define.enum(
    "format", None, sorted(recognise.FORMATS), "Format, if not recognised."
  )
  define.float(
    "padding",
    boxes.PADDING,
    "Boxes made from keypoints: share of the longer side added on every side.",
  )
  define.list(
    "keypoints", [], "Names of all keypoints in order, if the tool has none."
  )
  define.float(
    "val", None, "Share of the images, by folder, for a split val of its own."
  )
  define.bool("overwrite", False, "Replace files that exist.")
  define.check(
    "val", lambda share: share is None or 0 < share < 1, "a share below 1"
  )
  define.check("padding", lambda share: 0 < share < math.inf, "a share above 0")


if __name__ == "__main__":
  command.run(main, define_flags)
