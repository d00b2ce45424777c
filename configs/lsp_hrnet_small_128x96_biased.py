"""A small HRNet on LSP and LSP Extended, biased, for scripts/ablation.py.

Command   python -m darkjax.train \
              --config=configs/lsp_hrnet_small_128x96_biased.py \
              --workdir=runs/lsp_hrnet_small_128x96_biased \
              --config.data.root=DATA
          where DATA is as in lsp_hrnet_small_128x96.py.
Hardware  2 CPU cores.
Expected  PCK@0.05 below that of lsp_hrnet_small_128x96.py by every decoder.
Achieved  not run.
"""

from configs import lsp_hrnet_small_128x96 as parent
from configs.biased import biased


def get_config():
  return biased(parent.get_config())
