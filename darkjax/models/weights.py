"""Published PyTorch weights as Flax variables.

Accepted are the authors' HRNet, DARK, SimpleBaseline and Hourglass checkpoints,
mmpose's HRNet and SimpleBaseline (its Hourglass is another network), and the
ImageNet backbones of timm, torchvision and HRNet's authors.
"""

import logging
import pathlib
from collections.abc import Mapping

import flax.linen as nn
import flax.traverse_util
import jax
import jax.numpy as jnp
import numpy as np

from darkjax import models
from darkjax.models import (
  hourglass,
  simple_baseline,
  torch_files,
  torch_names,
  tracing,
)
from darkjax.runtime import command

_LOG = logging.getLogger(__name__)
# The authors trained these on BGR pixels with the statistics of RGB.
_BGR = (simple_baseline.SimpleBaseline, hourglass.Hourglass)
_MOST_LISTED = 20  # names of each kind in an error message


def load_torch_weights(
  source: str | pathlib.Path | Mapping,
  model: nn.Module,
  *,
  key: jax.Array | None = None,
) -> dict:
  """Fills a model's variables from a PyTorch state dict.

  A warning is logged where the weights expect BGR pixels, see `channel_order`.

  Args:
    source: a .pth, .pt, .tar or .bin file (read by torch, weights only), a
      .safetensors or .npz file, or the state dict itself: names to arrays or
      tensors, perhaps within "state_dict" or with a publisher's prefixes.
    model: from `create_model`, with the keypoints the weights were made for.
    key: allows a backbone alone, whose heatmap head is drawn from this key; the
      log lists its entries.

  Returns:
    {"params": ..., "batch_stats": ...}, float32.

  Raises:
    FileNotFoundError: there is no such file.
    ValueError: the file cannot be read, or entries are missing, unexpected or
      of another shape.
  """
  if not isinstance(source, Mapping):
    source = torch_files.read_state_dict(source)
  entries, publisher = torch_names.canonical(source)
  expected = expected_entries(model)
  head = [name for name in expected if torch_names.HEAD.match(name)]
  if key is None or entries.keys() & set(head):
    head = []
  _check_fit(entries, expected, without=head, model=type(model).__name__)
  if head:
    _LOG.warning("not in the file, newly initialised: %s", head)
  if channel_order(model, "imagenet" if head else publisher) == "bgr":
    _LOG.warning(
      "these weights expect BGR pixels, normalised by the RGB statistics in "
      "RGB order: set channel_order='bgr' in the convention"
    )
  leaves = _initial(model, key, [expected[name][0] for name in head])
  for name, (path, _) in expected.items():
    if name in entries:
      array = torch_names.from_torch(name, _as_numpy(entries[name]))
      leaves[path] = jnp.asarray(array)
  return flax.traverse_util.unflatten_dict(leaves)


def channel_order(model: nn.Module | str, publisher: str = "official") -> str:
  """Returns the channel order that published weights expect, "bgr" or "rgb".

  Args:
    model: a module or a name for `create_model`.
    publisher: see `torch_names.canonical`.
  """
  if isinstance(model, str):
    model = models.create_model(model)
  is_bgr = publisher == "official" and isinstance(model, _BGR)
  return "bgr" if is_bgr else "rgb"


def expected_entries(model: nn.Module) -> dict[str, tuple[tuple, tuple]]:
  """Returns a model's entries in PyTorch: name -> (our path, their shape)."""
  leaves = flax.traverse_util.flatten_dict(tracing.trace(model)[0])
  names = {torch_names.torch_name(path[1:]): path for path in leaves}
  return {
    name: (path, torch_names.torch_shape(name, leaves[path].shape))
    for name, path in sorted(names.items())
  }


def _check_fit(entries, expected, *, without, model: str) -> None:
  """Raises ValueError unless entries fit; those of `without` may be missing."""
  extra = [name for name in entries if name not in expected]
  ignored = [name for name in extra if torch_names.surplus(name)]
  if ignored:
    _LOG.info("left out, not part of a pose network: %s", ignored)
  problems = {
    "missing": [n for n in expected if n not in entries and n not in without],
    "unexpected": [name for name in extra if name not in ignored],
    "of another shape": [
      f"{name} (expected {shape}, got {np.shape(entries[name])})"
      for name, (_, shape) in expected.items()
      if name in entries and tuple(np.shape(entries[name])) != shape
    ],
  }
  lines = [
    f"  {len(names)} {kind}: {', '.join(names[:_MOST_LISTED])}"
    + f" and {len(names) - _MOST_LISTED} more" * (len(names) > _MOST_LISTED)
    for kind, names in problems.items()
    if names
  ]
  if lines:
    raise ValueError(
      f"these weights do not fit this {model}; nothing was loaded\n"
      + "\n".join(lines)
      + "\n  check the model's name and num_keypoints; if only the head "
      "(deconv_layers, final_layer) is missing, pass key= to initialise it"
    )


def _initial(model, key, paths) -> dict[tuple, jax.Array]:
  """The leaves at `paths` as `model.init` draws them; no others are drawn."""
  if not paths:
    return {}

  @jax.jit
  def draw(key):
    variables = model.init(key, jnp.zeros((1, 64, 64, 3)))
    flat = flax.traverse_util.flatten_dict(variables)
    return [flat[path] for path in paths]

  return dict(zip(paths, draw(key), strict=True))


def _as_numpy(value) -> np.ndarray:
  if hasattr(value, "detach"):  # a tensor; NumPy has no bfloat16
    value = value.detach().cpu().float().numpy()
  return np.asarray(value, np.float32)


if __name__ == "__main__":
  # Writes a checkpoint, a room that this one does not import.
  command.run_module("darkjax.checkpoint.import_torch")
