"""SimpleBaseline-R101 at 128x96 on COCO with DARK: Table 5 of the paper.

Command   python -m darkjax.train \
              --config=configs/coco_simple_baseline_101_128x96.py \
              --workdir=runs/coco_simple_baseline_101_128x96 \
              --config.data.root=DATA --config.pretrained=WEIGHTS
          where DATA and WEIGHTS are as in coco_hrnet_w32_128x96.py.
Hardware  the authors: 2 GPUs with 64 people each, 140 epochs.
Expected  AP 63.2, AP50 86.2, AP75 71.1 on val2017 with detected boxes.
          With :biased (baseline) standard/AP 58.8, AP50 85.3, AP75 66.1.
Achieved  not run.
"""

import pathlib
import runpy

PARENT = pathlib.Path(__file__).with_name("coco_simple_baseline_50_128x96.py")


def get_config(variant: str = ""):
  config = runpy.run_path(PARENT)["get_config"](variant)
  config.model.name = "simple_baseline_101"
  return config
