"""MPII Human Pose as a COCO-format json, from either of its label files.

`python -m darkjax.data.mpii --annotations=valid.json --out=mpii_val.json` reads
the json lists that HRNet and SimpleBaseline use, or the official
mpii_human_pose_v1_u12_1.mat; coco.py then loads the result like any other file.

Two conventions end here. MPII counts pixels from 1: every coordinate loses
`ONE_BASED` on the way in, and nothing downstream adds it back (PCKh compares
labels and predictions, both from 0). MPII gives a person's center and a scale,
the height in units of `PERSON_PX`: the official code moves the center down by
`CENTER_DOWN` scales, since it sits at the chest, and crops a square of 1.25
scales around it. Here the box is that square before the factor 1.25, which
every box gets when its crop is made.

In the dark and udp alignments the crop's center is half a pixel up and left of
the official one, as for every box there. No prediction depends on it but by
resampling: keypoints go back through the crop's own matrix.

Reference: HRNet, lib/dataset/mpii.py of its official code.
"""

import json
import pathlib

from darkjax.data.mpii import convert
from darkjax.runtime import command


def main(flags: command.Flags, arguments) -> None:
  """Writes the json."""
  del arguments
  content = convert.to_coco(flags.annotations, headboxes=flags.headboxes)
  pathlib.Path(flags.out).write_text(json.dumps(content))
  left_out = content["info"]["left_out_without_center"]
  print(
    f"{flags.out}: {len(content['annotations'])} people in "
    f"{len(content['images'])} images, {left_out} without a center left out"
  )


def define_flags(define: command.Define) -> None:
  """Adds the flags of `main`."""
  define.string("annotations", None, "MPII's label file.", required=True)
  define.string("headboxes", None, "HRNet's gt_valid.mat.")
  define.string("out", None, "json to write.", required=True)


if __name__ == "__main__":
  command.run(main, define_flags)
