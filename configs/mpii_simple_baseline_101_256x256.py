"""SimpleBaseline-R101 at 256x256 on MPII with DARK: in no table of the paper.

Command   python -m darkjax.train \
              --config=configs/mpii_simple_baseline_101_256x256.py \
              --workdir=runs/mpii_simple_baseline_101_256x256 \
              --config.data.root=DATA --config.pretrained=WEIGHTS
          where DATA and WEIGHTS are as in mpii_hrnet_w32_256x256.py.
Hardware  the authors: 4 GPUs with 32 people each, 140 epochs.
Expected  no figure published.
Achieved  not run.
"""

from configs import mpii_simple_baseline_50_256x256 as parent


def get_config():
  config = parent.get_config()
  config.model.name = "simple_baseline_101"
  return config
