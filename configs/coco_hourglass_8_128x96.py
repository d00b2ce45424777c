"""Hourglass-8 at 128x96 on COCO with DARK: Table 5 of the paper.

Command   python -m darkjax.train --config=configs/coco_hourglass_8_128x96.py \
              --workdir=runs/coco_hourglass_8_128x96 --config.data.root=DATA
Hardware  and DATA are as for coco_hourglass_4_128x96.py.
Expected  AP 70.8, AP50 87.9, AP75 78.3 on val2017 with detected boxes.
          With :biased (baseline) standard/AP 67.6, AP50 88.3, AP75 77.4.
Achieved  not run.
"""

import pathlib
import runpy

PARENT = pathlib.Path(__file__).with_name("coco_hourglass_4_128x96.py")


def get_config(variant: str = ""):
  config = runpy.run_path(PARENT)["get_config"](variant)
  config.model.name = "hourglass_8"
  # The official file has 2 here and 1 for Hourglass-4 at the same size.
  config.convention.sigma = 2.0
  return config
