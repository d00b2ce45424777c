"""HRNet-W32 at 128x96 on COCO, biased: Tables 1-5, the rows without DARK.

Command   python -m darkjax.train \
              --config=configs/coco_hrnet_w32_128x96_biased.py \
              --workdir=runs/coco_hrnet_w32_128x96_biased \
              --config.data.root=DATA --config.pretrained=WEIGHTS
          where DATA and WEIGHTS are as in coco_hrnet_w32_128x96.py.
Hardware  the authors: 2 GPUs with 64 people each, 210 epochs.
Expected  by decoder: argmax 61.2, standard 66.9, dark 68.4 AP on val2017 with
          detected boxes; dark without modulation (evaluate --blur_kernel=1)
          68.1.
Achieved  not run.
"""

from configs import coco_hrnet_w32_128x96 as parent
from configs.biased import biased


def get_config():
  return biased(parent.get_config())
