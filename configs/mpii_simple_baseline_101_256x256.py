"""SimpleBaseline-R101 at 256x256 on MPII with DARK: in no table of the paper.

Command   python -m darkjax.train \
              --config=configs/mpii_simple_baseline_101_256x256.py \
              --workdir=runs/mpii_simple_baseline_101_256x256 \
              --config.data.root=DATA --config.pretrained=WEIGHTS
Hardware  and data are as for mpii_simple_baseline_50_256x256.py.
Expected  no figure published.
Achieved  not run.
"""

import pathlib
import runpy

PARENT = pathlib.Path(__file__).with_name("mpii_simple_baseline_50_256x256.py")


def get_config(variant: str = ""):
  config = runpy.run_path(PARENT)["get_config"](variant)
  config.model.name = "simple_baseline_101"
  return config
