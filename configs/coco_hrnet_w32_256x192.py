"""HRNet-W32 at 256x192 on COCO with DARK: Table 4 of the paper.

Command   python -m darkjax.train --config=configs/coco_hrnet_w32_256x192.py \
              --workdir=runs/coco_hrnet_w32_256x192 --config.data.root=DATA \
              --config.pretrained=WEIGHTS
          where DATA and WEIGHTS are as in coco_hrnet_w32_128x96.py.
Hardware  the authors: 4 GPUs with 32 people each, 210 epochs.
Expected  AP 75.6, AP50 90.5, AP75 82.1 on val2017 with detected boxes.
          With :biased (row HRN32) standard/AP 74.4, AP50 90.5, AP75 81.9.
Achieved  not run.
"""

import pathlib
import runpy

PARENT = pathlib.Path(__file__).with_name("coco_hrnet_w32_128x96.py")


def get_config(variant: str = ""):
  config = runpy.run_path(PARENT)["get_config"](variant)
  config.convention.update(crop_size=(256, 192), sigma=2.0, blur_kernel=11)
  return config
