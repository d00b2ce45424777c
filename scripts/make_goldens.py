"""Writes tests/goldens, activations of independent networks in PyTorch.

    pip install torch==2.13.0 torchvision timm
    python scripts/make_goldens.py [--full]

The networks are those of scripts/torch_twins.py. Every tensor is filled from a
hash of its name (tests/hashed.py), so that only a few activations of every
layer are stored:

  <case>.npz      per layer six activations and the largest absolute one
  train.npz       one Adam step: loss, samples of the updated tensors
  names.npz       names and shapes of the full published networks

--full instead runs the full networks on both sides and prints their largest
relative difference; that takes minutes and stores nothing.
"""

import argparse
import functools
import json
import pathlib
import sys

import numpy as np
import torch

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

import hashed  # noqa: E402
import torch_twins as twins  # noqa: E402

GOLDENS = ROOT / "tests" / "goldens"


def hrnet(*shape):
  """Returns a maker of an HRNet of (channels, modules, blocks, stage 1)."""
  names = ("channels", "modules", "blocks", "stage1")
  config = dict(zip(names, shape, strict=True))
  return functools.partial(twins.HRNet, 3, **config)


# The twins of hashed.CASES.
resnet, hourglass = twins.SimpleBaseline, twins.Hourglass
TWINS = {
  "hrnet": hrnet(8, (1, 1, 2), 1, (2, 8)),
  "resnet_basic": lambda: resnet(3, "BasicBlock", (1, 1, 1, 1), 16),
  "resnet_bottleneck": lambda: resnet(3, "Bottleneck", (1, 1, 1, 1), 16),
  "hourglass": lambda: hourglass(3, stacks=2, features=16),
  "train": hrnet(4, (1, 1, 1), 1, (1, 4)),
}
FULL = {
  "hrnet_w32": lambda: twins.HRNet(17, **twins.HRNETS["hrnet_w32"]),
  "hrnet_w48": lambda: twins.HRNet(17, **twins.HRNETS["hrnet_w48"]),
  "simple_baseline_18": lambda: resnet(17, "BasicBlock", (2, 2, 2, 2), 256),
  "simple_baseline_50": lambda: resnet(17, "Bottleneck", (3, 4, 6, 3), 256),
  "simple_baseline_101": lambda: resnet(17, "Bottleneck", (3, 4, 23, 3), 256),
  "simple_baseline_152": lambda: resnet(17, "Bottleneck", (3, 8, 36, 3), 256),
  "hourglass_4": lambda: hourglass(17, 4, 256),
  "hourglass_8": lambda: hourglass(17, 8, 256),
}
IMAGENET = {
  "imagenet_hrnet_w32": lambda: twins.timm.create_model("hrnet_w32"),
  "imagenet_resnet50": lambda: twins.timm.create_model("resnet50"),
}


def body_of(model):
  """Returns the module with the official names."""
  return getattr(model, "body", model)


def shapes_of(model):
  """Returns the shapes of all entries but the counters."""
  entries = body_of(model).state_dict().items()
  return {
    name: tuple(value.shape)
    for name, value in entries
    if not name.endswith("num_batches_tracked")
  }


def fill(model):
  """Loads the hashed state dict, strictly but for the counters."""
  arrays = hashed.state_dict(shapes_of(model))
  tensors = {name: torch.from_numpy(a) for name, a in arrays.items()}
  result = body_of(model).load_state_dict(tensors, strict=False)
  assert not result.unexpected_keys
  assert all(n.endswith("num_batches_tracked") for n in result.missing_keys)
  return model.eval()


def to_torch(images):
  """Converts [B, H, W, C] to a tensor [B, C, H, W]."""
  return torch.from_numpy(np.ascontiguousarray(images.transpose(0, 3, 1, 2)))


def activations(model, images):
  """Returns every module's output [B, H, W, C]; of lists as "name:index"."""
  outputs = {}

  def keep(name):
    def hook(module, inputs, output):
      listed = isinstance(output, list | tuple)
      for i, x in enumerate(output if listed else [output]):
        key = f"{name}:{i}" if listed else name
        outputs[key] = x.detach().clone().permute(0, 2, 3, 1).numpy()

    return hook

  for name, module in body_of(model).named_modules():
    if name and not isinstance(module, torch.nn.ModuleList):
      module.register_forward_hook(keep(name))
  with torch.no_grad():
    model(to_torch(images))
  return {name: x for name, x in outputs.items() if x.ndim == 4}


def write_forward(name):
  """Writes samples of all activations of one case."""
  images = hashed.images(2, *hashed.CASES[name][2])
  outputs = activations(fill(TWINS[name]()), images)
  rows = {key: hashed.samples(key, x) for key, x in outputs.items()}
  np.savez_compressed(GOLDENS / f"{name}.npz", **rows)
  spread = [row[-1] for row in rows.values()]
  print(
    f"{name}: {len(rows)} activations, max {min(spread):.2g} to "
    f"{max(spread):.2g}"
  )


def write_train():
  """Writes loss, parameters and statistics after one step of Adam."""
  model = fill(TWINS["train"]())
  model.train()
  size = hashed.CASES["train"][2]
  images, target = hashed.images(2, *size), hashed.heatmaps(2, *size, 3)
  optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
  loss = 0.5 * torch.mean((model(to_torch(images)) - to_torch(target)) ** 2)
  loss.backward()
  optimizer.step()
  entries = model.body.state_dict()
  rows = {
    name: hashed.samples(name, entries[name].numpy())
    for name in shapes_of(model)
  }
  np.savez_compressed(GOLDENS / "train.npz", loss=loss.item(), **rows)
  print(f"train: loss {loss.item():.6f}, {len(rows)} tensors")


def write_names():
  """Writes names and shapes of the full networks, as json text in an npz."""
  with torch.device("meta"):
    texts = {
      name: json.dumps(shapes_of(make()))
      for name, make in (FULL | IMAGENET).items()
    }
  packed = {n: np.frombuffer(t.encode(), np.uint8) for n, t in texts.items()}
  np.savez_compressed(GOLDENS / "names.npz", **packed)


def compare_full(name, make):
  """Prints the largest relative difference of the heatmaps of one network."""
  import jax

  from darkjax.models import create_model, weights

  images = hashed.images(1, 128, 96)
  twin = fill(make())
  with torch.no_grad():
    expected = twin(to_torch(images))
  model = create_model(name)
  state_dict = body_of(twin).state_dict()
  variables = weights.load_torch_weights(state_dict, model)
  got = jax.jit(model.apply)(variables, images)
  if not isinstance(expected, list):
    got, expected = (got,), [expected]
  for stack, (a, b) in enumerate(zip(got, expected, strict=True)):
    b = b.permute(0, 2, 3, 1).numpy()
    print(f"{name} output {stack}: {np.abs(a - b).max() / np.abs(b).max():.2g}")


def main():
  """Writes all goldens, or compares the full networks."""
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument("--full", nargs="*", help="networks; none means all")
  options = parser.parse_args()
  if options.full is not None:
    for name in options.full or FULL:
      compare_full(name, FULL[name])
    return
  GOLDENS.mkdir(exist_ok=True)
  for name in hashed.CASES:
    if name != "train":
      write_forward(name)
  write_train()
  write_names()


if __name__ == "__main__":
  main()
