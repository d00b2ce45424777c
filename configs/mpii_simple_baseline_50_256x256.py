"""SimpleBaseline-R50 at 256x256 on MPII with DARK: in no table of the paper.

Command   python -m darkjax.train \
              --config=configs/mpii_simple_baseline_50_256x256.py \
              --workdir=runs/mpii_simple_baseline_50_256x256 \
              --config.data.root=DATA --config.pretrained=WEIGHTS
          where DATA and WEIGHTS are as in mpii_hrnet_w32_256x256.py.
Hardware  the authors: 4 GPUs with 32 people each, 140 epochs.
Expected  no figure of the authors; without DARK PCKh@0.5 88.2, PCKh@0.1 28.6 in
          mmpose.
Achieved  not run.
"""

import pathlib
import runpy

PARENT = pathlib.Path(__file__).with_name("mpii_hrnet_w32_256x256.py")


def get_config(variant: str = ""):
  config = runpy.run_path(PARENT)["get_config"](variant)
  config.model.name = "simple_baseline_50"
  # The RGB statistics meet BGR pixels, as in the official file.
  config.convention.channel_order = "bgr"
  config.optimizer.milestones = (90, 120)
  config.train.epochs = 140
  return config
