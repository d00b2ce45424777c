"""The quickstart with biased targets, for scripts/ablation.py.

Command   python -m darkjax.train --config=configs/quickstart_biased.py \
              --workdir=runs/quickstart_biased \
              --config.data.root=data/synthetic
          where data/synthetic is as scripts/quickstart.sh draws it.
Hardware  2 CPU cores.
Expected  AP below that of quickstart.py by every decoder.
Achieved  AP 20.98 argmax, 24.25 standard, 26.36 dark (docs/results.md);
          b6a53b5, 20 minutes beside other jobs.
"""

from configs import quickstart as parent
from configs.biased import biased


def get_config():
  return biased(parent.get_config())
