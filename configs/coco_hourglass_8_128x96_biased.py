"""Hourglass-8 at 128x96 on COCO, biased: Table 5, the row without DARK.

Command   python -m darkjax.train \
              --config=configs/coco_hourglass_8_128x96_biased.py \
              --workdir=runs/coco_hourglass_8_128x96_biased \
              --config.data.root=DATA
          where DATA is as in coco_hrnet_w32_128x96.py.
Hardware  the authors: 1 GPU with 8 people, 140 epochs. From scratch.
Expected  standard/AP 67.6, AP50 88.3, AP75 77.4 on val2017 with detected boxes.
Achieved  not run.
"""

from configs import coco_hourglass_8_128x96 as parent
from configs.biased import biased


def get_config():
  return biased(parent.get_config())
