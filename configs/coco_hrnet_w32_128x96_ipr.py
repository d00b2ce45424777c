"""HRNet-W32 at 128x96 on COCO by integral regression: Table 6, row IPR.

Command   python -m darkjax.train \
              --config=configs/coco_hrnet_w32_128x96_ipr.py \
              --workdir=runs/coco_hrnet_w32_128x96_ipr --config.data.root=DATA \
              --config.pretrained=WEIGHTS
          where DATA and WEIGHTS are as in coco_hrnet_w32_128x96.py.
Hardware  not published, nor the schedule; those of the DARK row here.
Expected  AP 68.0, AP50 88.1, AP75 76.5 on val2017 with detected boxes.
Achieved  not run.
"""

import pathlib
import runpy

PARENT = pathlib.Path(__file__).with_name("coco_hrnet_w32_128x96.py")


def get_config(variant: str = ""):
  config = runpy.run_path(PARENT)["get_config"](variant)
  config.loss.name = "ipr"
  config.convention.head = "softmax"
  # The mean of the softmax is what the loss trains.
  config.evaluate.methods = ("integral",)
  return config
