"""Hourglass-4 at 128x96 on COCO with DARK: Table 5 of the paper.

Command   python -m darkjax.train --config=configs/coco_hourglass_4_128x96.py \
              --workdir=runs/coco_hourglass_4_128x96 --config.data.root=DATA
          where DATA is as in coco_hrnet_w32_128x96.py.
Hardware  the authors: 1 GPU with 8 people, 140 epochs. From scratch.
Expected  AP 69.6, AP50 87.8, AP75 77.0 on val2017 with detected boxes.
          With :biased (baseline) standard/AP 66.2, AP50 87.6, AP75 75.1.
Achieved  not run.
"""

import pathlib
import runpy

PARENT = pathlib.Path(__file__).with_name("coco_simple_baseline_50_128x96.py")


def get_config(variant: str = ""):
  config = runpy.run_path(PARENT)["get_config"](variant)
  config.model.name = "hourglass_4"
  # The official file has 11 here and 3 for SimpleBaseline at the same size.
  config.convention.blur_kernel = 11
  config.optimizer.learning_rate = 2.5e-4
  # As in the official file, whose comment also names 4 GPUs: 4 x 8.
  config.train.batch_size = 8
  config.optimizer.rate_batch_size = 8
  return config
