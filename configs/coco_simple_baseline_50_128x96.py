"""SimpleBaseline-R50 at 128x96 on COCO with DARK: Table 5 of the paper.

Command   python -m darkjax.train \
              --config=configs/coco_simple_baseline_50_128x96.py \
              --workdir=runs/coco_simple_baseline_50_128x96 \
              --config.data.root=DATA --config.pretrained=WEIGHTS
          where DATA and WEIGHTS are as in coco_hrnet_w32_128x96.py.
Hardware  the authors: 2 GPUs with 64 people each, 140 epochs.
Expected  AP 62.6, AP50 86.1, AP75 70.4 on val2017 with detected boxes.
          With :biased (baseline) standard/AP 59.3, AP50 85.5, AP75 67.4.
Achieved  not run.
"""

import pathlib
import runpy

PARENT = pathlib.Path(__file__).with_name("coco_hrnet_w32_128x96.py")


def get_config(variant: str = ""):
  config = runpy.run_path(PARENT)["get_config"](variant)
  config.model.name = "simple_baseline_50"
  # The RGB statistics meet BGR pixels, as in the official file.
  config.convention.channel_order = "bgr"
  config.augmentation.half_body_probability = 0.0
  config.augmentation.scale_factor = 0.3
  config.augmentation.rotation_degrees = 40.0
  config.optimizer.milestones = (90, 120)
  config.train.epochs = 140
  return config
