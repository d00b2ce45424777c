"""Training: steps, checkpoints, logs, and the loop around them."""
