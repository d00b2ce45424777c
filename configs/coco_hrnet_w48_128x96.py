"""HRNet-W48 at 128x96 on COCO with DARK: Table 5 of the paper.

Command   python -m darkjax.train --config=configs/coco_hrnet_w48_128x96.py \
              --workdir=runs/coco_hrnet_w48_128x96 --config.data.root=DATA \
              --config.pretrained=WEIGHTS
          where DATA and WEIGHTS are as in coco_hrnet_w32_128x96.py.
Hardware  the authors: 2 GPUs with 64 people each, 210 epochs.
Expected  AP 71.9, AP50 89.1, AP75 79.6 on val2017 with detected boxes.
          With :biased (baseline) standard/AP 68.0, AP50 88.9, AP75 77.4.
Achieved  not run.
"""

import pathlib
import runpy

PARENT = pathlib.Path(__file__).with_name("coco_hrnet_w32_128x96.py")


def get_config(variant: str = ""):
  config = runpy.run_path(PARENT)["get_config"](variant)
  config.model.name = "hrnet_w48"
  # The official file has 11 here and 3 for HRNet-W32 at the same size.
  config.convention.blur_kernel = 11
  return config
