"""MPII Human Pose as a COCO-format json, from either of its label files.

    python -m darkjax.data.mpii --annotations=valid.json --out=mpii_val.json

reads the json lists that HRNet and SimpleBaseline use (`--headboxes` is HRNet's
gt_valid.mat, which PCKh needs), or the official mpii_human_pose_v1_u12_1.mat.
convert.py describes the conventions of both.
"""

import json
import pathlib

from darkjax.data.mpii import convert
from darkjax.runtime import command, files


def main(flags: command.Flags, arguments) -> None:
  """Writes the json."""
  command.refuse_arguments(arguments)
  read = filter(None, (flags.annotations, flags.headboxes))
  files.check_not_read(flags.out, *read)
  content = convert.to_coco(flags.annotations, headboxes=flags.headboxes)
  files.write_whole(pathlib.Path(flags.out), json.dumps(content).encode())
  left_out = content["info"]["left_out_without_center"]
  print(
    f"{flags.out}: {len(content['annotations'])} people in "
    f"{len(content['images'])} images, {left_out} without a center left out"
  )


def define_flags(define: command.Define) -> None:
  """Adds the flags of `main`."""
  define.string("annotations", None, "MPII's label file.", required=True)
  define.string("headboxes", None, "HRNet's gt_valid.mat, for PCKh.")
  define.string("out", None, "json to write.", required=True)


if __name__ == "__main__":
  command.run(main, define_flags)
