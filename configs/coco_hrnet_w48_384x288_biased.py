"""HRNet-W48 at 384x288 on COCO, biased: Table 7, row HRNet-W48.

Command   python -m darkjax.train \
              --config=configs/coco_hrnet_w48_384x288_biased.py \
              --workdir=runs/coco_hrnet_w48_384x288_biased \
              --config.data.root=DATA --config.pretrained=WEIGHTS
          where DATA and WEIGHTS are as in coco_hrnet_w32_128x96.py.
Hardware  HRNet's authors had 24 people on each of 4 GPUs; here 18, as with
          DARK.
Expected  standard/AP 75.5, AP50 92.5, AP75 83.3 on test-dev (Table 7); 76.3,
          90.8, 82.9 on val2017 by DARK's repository, both with detected boxes.
Achieved  not run.
"""

from configs import coco_hrnet_w48_384x288 as parent
from configs.biased import biased


def get_config():
  return biased(parent.get_config())
