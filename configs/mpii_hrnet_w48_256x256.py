"""HRNet-W48 at 256x256 on MPII with DARK: in no table of the paper.

Command   python -m darkjax.train --config=configs/mpii_hrnet_w48_256x256.py \
              --workdir=runs/mpii_hrnet_w48_256x256 --config.data.root=DATA \
              --config.pretrained=WEIGHTS
          where DATA and WEIGHTS are as in mpii_hrnet_w32_256x256.py.
Hardware  the authors: 4 GPUs with 32 people each, 210 epochs.
Expected  no figure of the authors; PCKh@0.5 90.5, PCKh@0.1 36.0 in mmpose.
Achieved  not run.
"""

from configs import mpii_hrnet_w32_256x256 as parent


def get_config():
  config = parent.get_config()
  config.model.name = "hrnet_w48"
  return config
