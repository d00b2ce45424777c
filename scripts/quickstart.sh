#!/usr/bin/env bash
# From nothing to measured keypoints: finds an astronaut's keypoints with the
# weights that come with darkjax, then draws synthetic people, trains a small
# HRNet on them, decodes the same heatmaps with three decoders, and draws the
# result.
# Ten minutes on two CPU cores. Run again, it continues where it stopped.
set -euo pipefail
. "$(dirname "$0")/environment.sh"
install train

echo "finding the keypoints of an astronaut, with the shipped weights"
python -m darkjax.predict docs/photographs/astronaut.jpg \
  --boxes=docs/photographs/boxes.json --min_score=0.5 --out=runs/astronaut
echo "the picture: runs/astronaut/astronaut.jpg"

data=data/synthetic run=runs/quickstart
if [ ! -e "$data/done" ]; then
  echo "drawing synthetic people into $data"
  python -m darkjax.data.synthetic --out="$data" --train=2500 --val=250 --seed=0
  touch "$data/done"
fi

echo "training a small HRNet in $run"
python -m darkjax.train --config=quickstart --workdir="$run" \
  --config.data.root="$data"

echo "evaluating the same heatmaps with every decoder"
python -m darkjax.evaluate --checkpoint="$run" --batch_size=50 \
  --picture="$run/people.png"
echo "the picture: $run/people.png"
