"""SimpleBaseline-R152 at 384x288 on COCO, biased: Table 7 of the paper.

Command   python -m darkjax.train \
              --config=configs/coco_simple_baseline_152_384x288_biased.py \
              --workdir=runs/coco_simple_baseline_152_384x288_biased \
              --config.data.root=DATA --config.pretrained=WEIGHTS
          where DATA and WEIGHTS are as in coco_hrnet_w32_128x96.py.
Hardware  the authors: 4 GPUs with 32 people each, 140 epochs.
Expected  standard/AP 73.7, AP50 91.9, AP75 81.1 on test-dev with detected
          boxes.
Achieved  not run.
"""

from configs import coco_simple_baseline_152_384x288 as parent
from configs.biased import biased


def get_config():
  return biased(parent.get_config())
