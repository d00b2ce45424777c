"""Projects of labelling tools as COCO-format jsons."""
