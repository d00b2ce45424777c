"""Hourglass-8 at 128x96 on COCO with DARK: Table 5 of the paper.

Command   python -m darkjax.train --config=configs/coco_hourglass_8_128x96.py \
              --workdir=runs/coco_hourglass_8_128x96 --config.data.root=DATA
          where DATA is as in coco_hrnet_w32_128x96.py.
Hardware  the authors: 1 GPU with 8 people, 140 epochs. From scratch.
Expected  AP 70.8, AP50 87.9, AP75 78.3 on val2017 with detected boxes.
Achieved  not run.
"""

from configs import coco_hourglass_4_128x96 as parent


def get_config():
  config = parent.get_config()
  config.model.name = "hourglass_8"
  # The official file has 2 here and 1 for Hourglass-4 at the same size.
  config.convention.sigma = 2.0
  return config
