"""A small HRNet on the embedded synthetic people, in minutes on a CPU.

Command   bash scripts/quickstart.sh, which calls
          python -m darkjax.train --config=configs/quickstart.py \
              --workdir=runs/quickstart --config.data.root=data/synthetic
Hardware  2 CPU cores.
Expected  AP by argmax below standard below dark.
          With :biased, for scripts/ablation.py, AP below that by every decoder.
Achieved  AP 31.6 with DARK, 28.9 standard, 23.7 argmax; 4 minutes on 2 cores,
          commit a09d914.
          With :biased 26.36 DARK, 24.25 standard, 20.98 argmax; 20 minutes
          beside other jobs, commit b6a53b5 (docs/results/ablation.md).
"""

import pathlib
import runpy

PARENT = pathlib.Path(__file__).with_name("coco_hrnet_w32_128x96.py")


def get_config(variant: str = ""):
  config = runpy.run_path(PARENT)["get_config"](variant)
  config.model.name = "hrnet_small"
  config.data.train = (("annotations/person_keypoints_train.json", "images"),)
  config.data.val = ("annotations/person_keypoints_val.json", "images")
  # A few minutes are too short to profit from the recipe's full variation.
  config.augmentation.half_body_probability = 0.0
  config.augmentation.rotation_probability = 0.0
  config.augmentation.scale_factor = 0.1
  config.optimizer.learning_rate = 2e-3
  config.optimizer.milestones = (6,)
  config.optimizer.rate_batch_size = 16
  config.train.update(batch_size=16, epochs=7)
  config.train.update(log_every_steps=50, evaluate_every_epochs=7)
  config.evaluate.batch_size = 50
  return config
