"""HRNet-W48 at 256x192 on COCO with DARK: in no table of the paper.

Command   python -m darkjax.train --config=configs/coco_hrnet_w48_256x192.py \
              --workdir=runs/coco_hrnet_w48_256x192 --config.data.root=DATA \
              --config.pretrained=WEIGHTS
          where DATA and WEIGHTS are as in coco_hrnet_w32_128x96.py.
Hardware  the authors: 4 GPUs with 30 people each, 210 epochs.
Expected  no figure of the authors; 76.4 in mmpose with another schedule, where
          HRNet-W48 without DARK has 75.6.
Achieved  not run.
"""

import pathlib
import runpy

PARENT = pathlib.Path(__file__).with_name("coco_hrnet_w32_256x192.py")


def get_config(variant: str = ""):
  config = runpy.run_path(PARENT)["get_config"](variant)
  config.model.name = "hrnet_w48"
  config.train.batch_size = 120  # 4 x 30, as in the official file
  config.optimizer.rate_batch_size = 120
  return config
