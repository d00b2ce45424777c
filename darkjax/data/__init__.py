"""Annotated images: reading, checking, records, augmentation and batches.

Only the preparation of records (coco.prepare, prepared) and cutting crops from
them (pipeline.batches) need TensorFlow and TFDS.
"""
