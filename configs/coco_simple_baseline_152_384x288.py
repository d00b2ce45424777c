"""SimpleBaseline-R152 at 384x288 on COCO with DARK: in no table of the paper.

Command   python -m darkjax.train \
              --config=configs/coco_simple_baseline_152_384x288.py \
              --workdir=runs/coco_simple_baseline_152_384x288 \
              --config.data.root=DATA --config.pretrained=WEIGHTS
          where DATA and WEIGHTS are as in coco_hrnet_w32_128x96.py.
Hardware  the authors: 4 GPUs with 32 people each, 140 epochs.
Expected  no figure of the authors; AP 75.5 in mmpose, which trains for 210
          epochs on 8 GPUs with 64 people each.
          With :biased standard/AP 73.7, AP50 91.9, AP75 81.1 on test-dev with
          detected boxes (Table 7).
Achieved  not run.
"""

import pathlib
import runpy

PARENT = pathlib.Path(__file__).with_name("coco_simple_baseline_50_384x288.py")


def get_config(variant: str = ""):
  config = runpy.run_path(PARENT)["get_config"](variant)
  config.model.name = "simple_baseline_152"
  return config
