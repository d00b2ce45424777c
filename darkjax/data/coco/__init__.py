"""COCO-format files: reading, rules, prepared records, detections."""
