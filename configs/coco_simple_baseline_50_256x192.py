"""SimpleBaseline-R50 at 256x192 on COCO with DARK: in no table of the paper.

Command   python -m darkjax.train \
              --config=configs/coco_simple_baseline_50_256x192.py \
              --workdir=runs/coco_simple_baseline_50_256x192 \
              --config.data.root=DATA --config.pretrained=WEIGHTS
          where DATA and WEIGHTS are as in coco_hrnet_w32_128x96.py.
Hardware  the authors: 4 GPUs with 32 people each, 140 epochs.
Expected  no figure of the authors; AP 72.4 in mmpose, which trains for 210
          epochs on 8 GPUs with 64 people each.
Achieved  not run.
"""

import pathlib
import runpy

PARENT = pathlib.Path(__file__).with_name("coco_simple_baseline_50_128x96.py")


def get_config(variant: str = ""):
  config = runpy.run_path(PARENT)["get_config"](variant)
  config.convention.update(crop_size=(256, 192), sigma=2.0, blur_kernel=11)
  return config
