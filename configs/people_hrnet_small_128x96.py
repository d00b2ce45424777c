"""A small HRNet of COCO's 17 keypoints on 16,800 people at sport and at home.

Command   JAX_NUM_CPU_DEVICES=2 python -m darkjax.train \
              --config=configs/people_hrnet_small_128x96.py \
              --workdir=runs/people_hrnet_small_128x96 --config.data.root=DATA
          where DATA holds lsp/, lspet/, lspet_more/, people17/, people_photos/
          and coco/.
Hardware  2 CPU cores.
Expected  AP of about 23 on 359 people of COCO val2017.
          With :biased, for scripts/ablation.py, AP below that by every decoder.
Achieved  AP 23.7 there with DARK, 22.0 with standard, 18.2 with argmax;
          PCK@0.2 77.5 on LSP's 800 test people; epoch 46, the best of 47;
          commit 00f619e and before, in parts, 60 to 67 images a second.
          With :biased not run.
"""

import pathlib
import runpy

PARENT = pathlib.Path(__file__).with_name("coco_hrnet_w32_128x96.py")


def get_config(variant: str = ""):
  config = runpy.run_path(PARENT)["get_config"](variant)
  config.model.name = "hrnet_small"
  config.model.overrides.channels = 24
  config.data.train = (
    ("people17/lsp_train.json", "lsp/images"),
    ("people17/lspet.json", "lspet/images"),
    ("people17/lspet_more.json", "lspet_more/images"),
    (
      "people_photos/annotations/person_keypoints_train.json",
      "people_photos/images",
    ),
  )
  # COCO's labels of 261 other people choose; its val2017 is for the end.
  config.data.val = (
    "coco/annotations/person_keypoints_train2017.json",
    "coco/train2017",
  )
  # Less than the paper's: the network has more trouble to fit than to
  # generalise. The box moves a little, as a detector's does.
  config.augmentation.update(scale_factor=0.25, rotation_degrees=40.0)
  config.augmentation.update(half_body_probability=0.1, shift_factor=0.03)
  config.augmentation.color_factor = 0.2
  config.optimizer.milestones = (42, 46)
  config.optimizer.rate_batch_size = 32
  config.optimizer.ema_decay = 0.999
  config.train.update(batch_size=32, epochs=47, log_every_steps=100)
  config.train.update(evaluate_every_epochs=1, checkpoint_every_epochs=1)
  config.train.keep_best = "dark/AP/gt_boxes"
  config.evaluate.batch_size = 80
  return config
