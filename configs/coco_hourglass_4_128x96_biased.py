"""Hourglass-4 at 128x96 on COCO, biased: Table 5, the row without DARK.

Command   python -m darkjax.train \
              --config=configs/coco_hourglass_4_128x96_biased.py \
              --workdir=runs/coco_hourglass_4_128x96_biased \
              --config.data.root=DATA
          where DATA is as in coco_hrnet_w32_128x96.py.
Hardware  the authors: 1 GPU with 8 people, 140 epochs. From scratch.
Expected  standard/AP 66.2, AP50 87.6, AP75 75.1 on val2017 with detected boxes.
Achieved  not run.
"""

from configs import coco_hourglass_4_128x96 as parent
from configs.biased import biased


def get_config():
  return biased(parent.get_config())
