"""A run of seconds, for tests that start the commands."""

from configs import quickstart as parent

# Arguments of hrnet_small: one branch more than one; seconds to compile.
OVERRIDES = {
  "stem_features": 4,
  "stage1_features": 4,
  "stage1_blocks": 1,
  "channels": 4,
  "modules": (1,),
  "blocks": 1,
}


def get_config():
  config = parent.get_config()
  config.convention.crop_size = (64, 64)
  config.model.overrides.update(OVERRIDES)
  config.train.batch_size = 4
  config.train.epochs = 2
  config.train.log_every_steps = 1
  config.train.evaluate_every_epochs = 1
  config.evaluate.batch_size = 4
  return config
