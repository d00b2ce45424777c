"""A small HRNet on the embedded synthetic people, in minutes on a CPU.

Command   bash scripts/quickstart.sh, which calls
          python -m darkjax.train --config=configs/quickstart.py \
              --workdir=runs/quickstart --config.data.root=data/synthetic
Hardware  2 CPU cores.
"""

from configs import coco_hrnet_w32_128x96 as parent


def get_config():
  config = parent.get_config()
  config.model.name = "hrnet_small"
  config.data.train = (
    ("annotations/person_keypoints_train.json", "images"),
  )
  config.data.val = ("annotations/person_keypoints_val.json", "images")
  config.optimizer.milestones = (9, 11)
  config.train.batch_size = 32
  config.train.epochs = 12
  config.train.log_every_steps = 20
  config.train.evaluate_every_epochs = 12
  config.train.checkpoint_every_epochs = 2
  config.evaluate.batch_size = 64
  return config
