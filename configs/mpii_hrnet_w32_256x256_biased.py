"""HRNet-W32 at 256x256 on MPII, biased: Table 8 of the paper, row HRN32.

Command   python -m darkjax.train \
              --config=configs/mpii_hrnet_w32_256x256_biased.py \
              --workdir=runs/mpii_hrnet_w32_256x256_biased \
              --config.data.root=DATA --config.pretrained=WEIGHTS
          where DATA and WEIGHTS are as in mpii_hrnet_w32_256x256.py.
Hardware  the authors: 4 GPUs with 32 people each, 210 epochs.
Expected  standard/PCKh@0.5 90.3, PCKh@0.11 37.7 (printed as PCKh@0.1) on valid.
Achieved  not run.
"""

from configs import mpii_hrnet_w32_256x256 as parent
from configs.biased import biased


def get_config():
  return biased(parent.get_config())
