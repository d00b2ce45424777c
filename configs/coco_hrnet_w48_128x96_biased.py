"""HRNet-W48 at 128x96 on COCO, biased: Table 5, the row without DARK.

Command   python -m darkjax.train \
              --config=configs/coco_hrnet_w48_128x96_biased.py \
              --workdir=runs/coco_hrnet_w48_128x96_biased \
              --config.data.root=DATA --config.pretrained=WEIGHTS
          where DATA and WEIGHTS are as in coco_hrnet_w32_128x96.py.
Hardware  the authors: 2 GPUs with 64 people each, 210 epochs.
Expected  standard/AP 68.0, AP50 88.9, AP75 77.4 on val2017 with detected boxes.
Achieved  not run.
"""

from configs import coco_hrnet_w48_128x96 as parent
from configs.biased import biased


def get_config():
  return biased(parent.get_config())
