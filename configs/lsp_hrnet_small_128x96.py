"""A small HRNet on 3,000 photographs of LSP and LSP Extended.

Command   python -m darkjax.train --config=configs/lsp_hrnet_small_128x96.py \
              --workdir=runs/lsp_hrnet_small_128x96 --config.data.root=DATA
          where DATA holds lsp/ and lspet/ as scripts/prepare_lsp.py makes
          them from the public folders.
Hardware  2 CPU cores.
Expected  PCK@0.2 (torso) of about 70 on the 800 test people.
          With :biased, for scripts/ablation.py, PCK@0.05 below that by every
          decoder.
Achieved  PCK@0.2 69.8, PCK@0.05 20.3, AP 51.9 with DARK; 66.8, 14.2, 48.3 with
          argmax; 65 minutes on 2 cores, commit 20d000c.
          With :biased not run.
"""

import pathlib
import runpy

PARENT = pathlib.Path(__file__).with_name("coco_hrnet_w32_128x96.py")


def get_config(variant: str = ""):
  config = runpy.run_path(PARENT)["get_config"](variant)
  config.model.name = "hrnet_small"
  config.data.train = (
    ("lsp/annotations/person_keypoints_train.json", "lsp/images"),
    ("lspet/annotations/person_keypoints_train.json", "lspet/images"),
  )
  config.data.val = "lsp/annotations/person_keypoints_test.json", "lsp/images"
  config.augmentation.scale_factor = 0.25
  config.augmentation.rotation_degrees = 40.0
  config.optimizer.milestones = (50, 63)
  config.optimizer.rate_batch_size = 32
  config.train.update(batch_size=32, epochs=70, log_every_steps=93)
  config.train.update(evaluate_every_epochs=10, checkpoint_every_epochs=2)
  config.evaluate.batch_size = 80
  return config
