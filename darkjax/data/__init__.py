"""Data: records of annotated images, augmentation, crops, batches.

`schema` and `augment` need NumPy only; `coco`, `crop` and `pipeline` need
TensorFlow and TFDS and are imported by whoever uses them.
"""
