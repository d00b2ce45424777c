#!/usr/bin/env bash
# Every picture of the README and of docs/, from nothing: the quickstart's run,
# a network overfitted to 60 synthetic people, then make_figures.py.
# Twenty minutes on two CPU cores. Run again, it continues where it stopped.
set -euo pipefail
. "$(dirname "$0")/environment.sh"
bash scripts/quickstart.sh
install figures

data=data/learnt run=runs/learnt
if [ ! -e "$data/done" ]; then
  python -m darkjax.data.synthetic --out="$data" --train=60 --val=1 --seed=1
  touch "$data/done"
fi

echo "overfitting to 60 people in $run"
people="('annotations/person_keypoints_train.json', 'images')"
python -m darkjax.train --config=configs/coco_overfit.py --workdir="$run" \
  --config.data.root="$data" \
  --config.data.train="($people,)" --config.data.val="$people" \
  --config.train.batch_size=20 --config.evaluate.batch_size=60 \
  --config.train.epochs=160 --config.optimizer.milestones="(130,)" \
  --config.train.log_every_steps=30 \
  --config.train.evaluate_every_epochs=160 \
  --config.train.checkpoint_every_epochs=40

python scripts/make_figures.py --checkpoint=runs/quickstart --learnt="$run"
