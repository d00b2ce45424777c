"""HRNet-W32 at 128x96 on COCO by DSNT: Table 6 of the paper, row DSNT.

Command   python -m darkjax.train \
              --config=configs/coco_hrnet_w32_128x96_dsnt.py \
              --workdir=runs/coco_hrnet_w32_128x96_dsnt \
              --config.data.root=DATA --config.pretrained=WEIGHTS
          where DATA and WEIGHTS are as in coco_hrnet_w32_128x96.py.
Hardware  not published, nor the schedule; those of the DARK row here.
Expected  AP 57.6, AP50 83.5, AP75 63.1 on val2017 with detected boxes. mmpose
          finds the reverse of Table 6 (ResNet-50, 256x256): IPR 63.3, DSNT
          67.4.
Achieved  not run.
"""

import pathlib
import runpy

PARENT = pathlib.Path(__file__).with_name("coco_hrnet_w32_128x96_ipr.py")


def get_config(variant: str = ""):
  config = runpy.run_path(PARENT)["get_config"](variant)
  config.loss.name = "dsnt"
  return config
