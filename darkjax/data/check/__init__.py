"""A data set explained before anyone trains on it."""
