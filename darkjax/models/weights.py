"""Published PyTorch weights as Flax variables.

Taken: the authors' HRNet, DARK, SimpleBaseline and Hourglass checkpoints,
mmpose's HRNet and SimpleBaseline (its Hourglass is another network), and the
ImageNet backbones of timm, torchvision and HRNet's authors.

    python -m darkjax.models.weights in.pth out_dir --model=hrnet_w32

writes a checkpoint that evaluate, predict and train accept. Files are read
without executing what is in them.
"""

import logging
import pathlib
from collections.abc import Mapping
from typing import NamedTuple

import flax.linen as nn
import flax.traverse_util
import jax
import jax.numpy as jnp
import numpy as np

from darkjax import models
from darkjax.models import hourglass, simple_baseline, torch_files, torch_names
from darkjax.runtime import command

_LOG = logging.getLogger(__name__)
# The authors trained these on BGR pixels with the statistics of RGB.
_BGR = (simple_baseline.SimpleBaseline, hourglass.Hourglass)
_LISTED = 20  # names of each kind in an error message


def load_torch_weights(
  source: str | pathlib.Path | Mapping,
  model: nn.Module,
  *,
  key: jax.Array | None = None,
) -> dict:
  """Fills a model's variables from a PyTorch state dict.

  Weights of an official SimpleBaseline or Hourglass expect BGR pixels,
  normalised by the RGB statistics in RGB order; a warning says so, and
  `channel_order` answers it for the convention.

  Args:
    source: a .pth, .pt, .tar or .bin file (read by torch, weights only), a
      .safetensors or .npz file, or the state dict itself: names to arrays or
      tensors, with or without a "state_dict" around it, the "module." prefix
      of data-parallel training or mmpose's prefixes.
    model: from `create_model`, with the keypoints the weights were made for.
    key: allows a backbone without the heatmap head, which then starts at its
      initialisation drawn from this key; the log lists those entries.

  Returns:
    {"params": ..., "batch_stats": ...}, float32.

  Raises:
    FileNotFoundError: there is no such file.
    ValueError: the file cannot be read so, or entries are missing, unexpected
      or of another shape; all of them are counted and the first ones listed.
  """
  state_dict = source
  if not isinstance(source, Mapping):
    state_dict = torch_files.read_state_dict(source)
  entries, publisher = torch_names.canonical(state_dict)
  expected = expected_entries(model)
  fit = _compare(entries, expected, allow_backbone=key is not None)
  fit.check(type(model).__name__)
  publisher = "imagenet" if fit.initialised else publisher
  _announce(fit, channel_order(model, publisher))
  leaves = _initial(model, key, [expected[n][0] for n in fit.initialised])
  for name, (path, _) in expected.items():
    if name in entries:
      array = torch_names.from_torch(name, _as_numpy(entries[name]))
      leaves[path] = jnp.asarray(array)
  return flax.traverse_util.unflatten_dict(leaves)


def channel_order(model: nn.Module | str, publisher: str = "official") -> str:
  """The channel order that published weights expect: "bgr" or "rgb".

  Args:
    model: a module or a name that `create_model` knows.
    publisher: "official", "mmpose" or "imagenet", see
      `torch_names.canonical`; only the official ResNet and Hourglass read BGR.

  Returns:
    "bgr" or "rgb".
  """
  module = models.create_model(model) if isinstance(model, str) else model
  bgr = publisher == "official" and isinstance(module, _BGR)
  return "bgr" if bgr else "rgb"


def expected_entries(model: nn.Module) -> dict[str, tuple[tuple, tuple]]:
  """What PyTorch's twin of a model holds, by official name.

  Args:
    model: from `create_model`.

  Returns:
    Name -> (our path to the leaf, PyTorch's shape of it), in name's order.
  """
  images = jax.ShapeDtypeStruct((1, 64, 64, 3), jnp.float32)
  variables = jax.eval_shape(
    lambda images: model.init(jax.random.key(0), images), images
  )
  entries = {}
  for path, leaf in flax.traverse_util.flatten_dict(variables).items():
    name = torch_names.torch_name(path[1:])
    entries[name] = (path, torch_names.torch_shape(name, leaf.shape))
  return dict(sorted(entries.items()))


class _Fit(NamedTuple):
  """How entries and a model agree; lists of official names."""

  missing: list[str]
  unexpected: list[str]
  misshapen: list[str]  # with both shapes
  ignored: list[str]
  initialised: list[str]

  def check(self, model_name: str) -> None:
    """Raises ValueError unless every entry found its place."""
    problems = {
      "missing": self.missing,
      "unexpected": self.unexpected,
      "of another shape": self.misshapen,
    }
    if not any(problems.values()):
      return
    lines = [
      f"{len(names)} {kind}: {_some(names)}"
      for kind, names in problems.items()
      if names
    ]
    raise ValueError(
      f"these weights do not fit this {model_name}; nothing was loaded\n  "
      + "\n  ".join(lines)
      + "\n  check the model's name and num_keypoints; if only the head "
      "(deconv_layers, final_layer) is missing, pass key= to initialise it"
    )


def _compare(entries, expected, *, allow_backbone) -> _Fit:
  missing = [name for name in expected if name not in entries]
  initialised = []
  head = [name for name in expected if torch_names.HEAD.match(name)]
  if allow_backbone and head and not set(head) - set(missing):
    initialised = head
    missing = [name for name in missing if name not in head]
  extra = [name for name in entries if name not in expected]
  ignored = [name for name in extra if torch_names.surplus(name)]
  unexpected = [name for name in extra if not torch_names.surplus(name)]
  misshapen = [
    f"{name} (expected {shape}, got {tuple(np.shape(entries[name]))})"
    for name, (_, shape) in expected.items()
    if name in entries and tuple(np.shape(entries[name])) != shape
  ]
  return _Fit(missing, unexpected, misshapen, ignored, initialised)


def _some(names) -> str:
  more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
  return ", ".join(names[:_LISTED]) + more


def _announce(fit: _Fit, order: str) -> None:
  if fit.ignored:
    _LOG.info("left out, no part of a pose network: %s", fit.ignored)
  if fit.initialised:
    _LOG.warning("not in the file, newly initialised: %s", fit.initialised)
  if order == "bgr":
    _LOG.warning(
      "these weights expect BGR pixels, normalised by the RGB statistics in "
      "RGB order: set channel_order='bgr' in the convention"
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
  if hasattr(value, "detach"):  # a tensor; bfloat16 has no NumPy twin
    value = value.detach().cpu().float().numpy()
  return np.asarray(value, np.float32)


if __name__ == "__main__":
  # Writes a checkpoint, a room that this one does not import.
  command.run_module("darkjax.checkpoint.import_torch")
