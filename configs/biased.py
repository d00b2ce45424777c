"""The usual representation of keypoints, in the place of DARK's.

The rows without DARK differ from those with it in four switches that HRNet's
code and DARK's set differently: centres of the targets rounded to a cell, the
targets cut to three sigmas, HRNet's alignment, and mirrored heatmaps moved by
one pixel. Batch, schedule and augmentation stay those of DARK's files. The
decoder is chosen when heatmaps are read: evaluation prints all of them, and
"standard" is the one of these rows.
"""


def biased(config):
  """Changes `config` in place, and returns it."""
  config.convention.quantize = "round"
  config.convention.truncate = 3.0
  config.convention.alignment = "hrnet"
  config.convention.flip_shift = 1
  return config
