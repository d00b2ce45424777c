"""Scores of predicted keypoints: OKS and COCO AP, PCK and PCKh.

NumPy and pycocotools only. `coco` holds the COCO protocol, `nms` the removal
of duplicates, `pck` the shares of keypoints within a distance, `similarity`
the OKS itself.
"""
