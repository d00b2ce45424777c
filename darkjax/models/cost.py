"""Size and cost of models: `python -m darkjax.models` prints them.

- *official GFLOPs*, as published tables have them: for each convolution the
  size of its kernel times the area of its **output**, divided by 1024³. They
  are multiply-adds, the giga is binary, and a transposed convolution with
  stride 2 is counted four times over.
- *GMACs*: multiply-adds by 10⁹; a transposed convolution applies its kernel
  once for each cell of its **input**.

Both count taps that fall on padding, and neither counts biases, batch norms,
activations, pooling or resizing.
"""

from typing import NamedTuple

import flax.linen as nn
import flax.traverse_util

from darkjax import models
from darkjax.models import simple_baseline, tracing

SIZES = ((128, 96), (256, 192), (384, 288))  # of the paper's tables


class Cost(NamedTuple):
  """Size and cost of a network at one input size."""

  parameters: int  # trained values, without batch-norm statistics
  official: int  # multiply-adds of one image by the authors' rule
  macs: int  # multiply-adds of one image


def model_cost(model: nn.Module, size: tuple[int, int]) -> Cost:
  """Counts parameters and multiply-adds for inputs of (height, width) px."""
  variables, calls = tracing.trace(model, size)
  params = flax.traverse_util.flatten_dict(variables["params"])
  official = macs = 0
  for layer, x, y in calls:
    if isinstance(layer, tracing.CONVOLUTIONS):
      taps = params[*layer.path, "kernel"].size
      official += taps * y.shape[1] * y.shape[2]
      area = x if isinstance(layer, simple_baseline.Deconv) else y
      macs += taps * area.shape[1] * area.shape[2]
  return Cost(sum(leaf.size for leaf in params.values()), official, macs)


def table() -> str:
  """Returns name, input, parameters and both countings of every model."""
  rows = [
    f"{'model':<20} {'input':>8} {'parameters':>12} "
    f"{'official GFLOPs':>16} {'GMACs':>7}"
  ]
  for name in models.MODELS:
    for size in SIZES:
      counts = model_cost(models.create_model(name), size)
      rows.append(
        f"{name:<20} {f'{size[0]}x{size[1]}':>8} {counts.parameters:>12,} "
        f"{counts.official / 1024**3:>16.2f} {counts.macs / 1e9:>7.2f}"
      )
  return "\n".join(rows)
