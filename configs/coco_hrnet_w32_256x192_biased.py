"""HRNet-W32 at 256x192 on COCO, biased: Table 4, row HRN32.

Command   python -m darkjax.train \
              --config=configs/coco_hrnet_w32_256x192_biased.py \
              --workdir=runs/coco_hrnet_w32_256x192_biased \
              --config.data.root=DATA --config.pretrained=WEIGHTS
          where DATA and WEIGHTS are as in coco_hrnet_w32_128x96.py.
Hardware  the authors: 4 GPUs with 32 people each, 210 epochs.
Expected  standard/AP 74.4, AP50 90.5, AP75 81.9 on val2017 with detected boxes.
Achieved  not run.
"""

from configs import coco_hrnet_w32_256x192 as parent
from configs.biased import biased


def get_config():
  return biased(parent.get_config())
