"""HRNet-W32 at 256x256 on MPII with DARK: Table 8 of the paper.

Command   python -m darkjax.train --config=configs/mpii_hrnet_w32_256x256.py \
              --workdir=runs/mpii_hrnet_w32_256x256 --config.data.root=DATA \
              --config.pretrained=WEIGHTS
Data      DATA/mpii/images holds MPII's images; HRNet's label files become
          python -m darkjax.data.mpii --annotations=train.json \
              --out=DATA/mpii/annotations/person_keypoints_train.json
          python -m darkjax.data.mpii --annotations=valid.json \
              --headboxes=gt_valid.mat \
              --out=DATA/mpii/annotations/person_keypoints_val.json
          WEIGHTS as in coco_hrnet_w32_128x96.py, but with --skeleton=mpii.
Hardware  the authors: 4 GPUs with 32 people each, 210 epochs.
Expected  PCKh@0.5 90.6, PCKh@0.11 42.0 (printed as PCKh@0.1) on valid.
          With :biased (row HRN32) standard/PCKh@0.5 90.3, PCKh@0.11 37.7.
Achieved  not run.
"""

import pathlib
import runpy

PARENT = pathlib.Path(__file__).with_name("coco_hrnet_w32_256x192.py")


def get_config(variant: str = ""):
  config = runpy.run_path(PARENT)["get_config"](variant)
  # The padding stays 1.25: boxes of the json are the official squares before
  # that factor.
  config.convention.crop_size = (256, 256)
  config.convention.clip_boxes = False  # the squares stay whole
  labels = "mpii/annotations/person_keypoints_{}.json"
  config.data.train = ((labels.format("train"), "mpii/images"),)
  config.data.val = (labels.format("val"), "mpii/images")
  config.augmentation.half_body_probability = 0.0
  config.augmentation.scale_factor = 0.25
  config.augmentation.rotation_degrees = 30.0
  return config
