"""Evaluation: predictions on a data set, scored."""
