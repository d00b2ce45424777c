"""HRNet-W48 at 256x256 on MPII with DARK: in no table of the paper.

Command   python -m darkjax.train --config=configs/mpii_hrnet_w48_256x256.py \
              --workdir=runs/mpii_hrnet_w48_256x256 --config.data.root=DATA \
              --config.pretrained=WEIGHTS
          where DATA and WEIGHTS are as in mpii_hrnet_w32_256x256.py.
Hardware  the authors: 4 GPUs with 32 people each, 210 epochs.
Expected  no figure of the authors; PCKh@0.5 90.5, PCKh@0.1 36.0 in mmpose.
Achieved  not run.
"""

import pathlib
import runpy

PARENT = pathlib.Path(__file__).with_name("mpii_hrnet_w32_256x256.py")


def get_config(variant: str = ""):
  config = runpy.run_path(PARENT)["get_config"](variant)
  config.model.name = "hrnet_w48"
  return config
