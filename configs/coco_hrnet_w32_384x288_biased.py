"""HRNet-W32 at 384x288 on COCO, biased: Tables 4 and 7, row HRNet-W32.

Command   python -m darkjax.train \
              --config=configs/coco_hrnet_w32_384x288_biased.py \
              --workdir=runs/coco_hrnet_w32_384x288_biased \
              --config.data.root=DATA --config.pretrained=WEIGHTS
          where DATA and WEIGHTS are as in coco_hrnet_w32_128x96.py.
Hardware  HRNet's authors had 32 people on each of 4 GPUs; here 28, as with
          DARK.
Expected  standard/AP 75.8, AP50 90.6, AP75 82.5 on val2017 with detected boxes;
          74.9, 92.5, 82.8 on test-dev.
Achieved  not run.
"""

from configs import coco_hrnet_w32_384x288 as parent
from configs.biased import biased


def get_config():
  return biased(parent.get_config())
