"""Cells: training runs by network, size, encoding, loss and seed."""

import dataclasses
from typing import Any, NamedTuple

FAMILIES = {
  "small": {
    "hrnet": "hrnet_small",
    "simple_baseline": "simple_baseline_small",
    "hourglass": "hourglass_small",
  },
  "paper": {
    "hrnet": "hrnet_w32",
    "simple_baseline": "simple_baseline_50",
    "hourglass": "hourglass_4",
  },
}
# Height and width of inputs, px. The networks halve an input five times, which
# excludes 64×48 and 192×144: 64×64 is the nearest, and 192×128 as near as
# 192×160 and cheaper.
MIDDLE = (128, 96)
SIZES = {
  "small": ((64, 64), MIDDLE, (192, 128)),
  "paper": (MIDDLE, (256, 192), (384, 288)),
}
# By input height, sigma of the targets and kernel of the modulation, heatmap
# px: published at 128, 256 and 384, the others between them. (The authors'
# Hourglass has a kernel of 11 at 128; here all networks have the same.)
SIGMAS = {
  64: (1.0, 3),
  128: (1.0, 3),
  192: (1.5, 7),
  256: (2.0, 11),
  384: (3.0, 11),
}


# Twice that of long runs. The paper's Hourglass has a quarter of the others'
# rate; the small one trains faster at theirs (loss after three epochs of LSP:
# 0.00393, at a quarter of the rate 0.00425).
RATE = 2e-3
RATES = {"hourglass_4": RATE / 4}


class Network(NamedTuple):
  """A network to train, without data and seed."""

  family: str = "hrnet"  # hrnet | simple_baseline | hourglass
  # unbiased | biased: targets, alignment and flip shift of this variant of the
  # configuration.
  encoding: str = "unbiased"
  loss: str = "mse"  # mse | ipr | dsnt
  size: tuple[int, int] = MIDDLE  # (height, width) of the input, px

  @property
  def size_name(self) -> str:
    """Size as in 128x96."""
    return f"{self.size[0]}x{self.size[1]}"


@dataclasses.dataclass(frozen=True)
class Cell:
  """One training run."""

  data: str  # lsp | people17 | synthetic
  model: str  # a name of `darkjax.models.MODELS`
  network: Network
  epochs: int
  seed: int  # of weights, batches and augmentation

  @property
  def name(self) -> str:
    """Name of its folder, which distinguishes it from other cells."""
    network = self.network
    kind = f"{network.size_name}-{network.encoding}-{network.loss}"
    return (
      f"{self.data}-{self.model}-{kind}-{self.epochs}epochs-seed{self.seed}"
    )

  def to_json(self) -> dict[str, Any]:
    """Returns the fields, flat."""
    fields = dataclasses.asdict(self)
    return fields | fields.pop("network")._asdict()


def config_fields(cell: Cell) -> dict[str, Any]:
  """Returns what a cell changes in its configuration file.

  The schedule is short: the rate falls to a tenth after 60 and 85 % of it, and
  half bodies are not cropped.

  Returns:
    Values by field, as in "train.epochs".
  """
  sigma, blur_kernel = SIGMAS[cell.network.size[0]]
  fields = {
    "seed": cell.seed,
    "model.name": cell.model,
    "convention.crop_size": cell.network.size,
    "convention.sigma": sigma,
    "convention.blur_kernel": blur_kernel,
    "augmentation.half_body_probability": 0.0,
    "loss.name": cell.network.loss,
    "optimizer.learning_rate": RATES.get(cell.model, RATE),
    "optimizer.milestones": (0.6 * cell.epochs, 0.85 * cell.epochs),
    "train.epochs": cell.epochs,
    "train.evaluate_every_epochs": cell.epochs,
    "train.keep_checkpoints": 1,
    "evaluate.methods": ("argmax",),  # scores.py reads all others
  }
  if cell.network.loss != "mse":
    fields["convention.head"] = "softmax"
  return fields
