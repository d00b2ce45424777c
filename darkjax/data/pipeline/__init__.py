"""Batches of crops, cut by tf.data from prepared records."""
