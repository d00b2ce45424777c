"""The configurations: the published numbers, and how they load."""

import ast
import functools
import importlib
import shutil

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
import pytest
from absl import flags
from ml_collections import config_flags
from published import (
  BIASED,
  FILES,
  FOLDER,
  NAMES,
  PAPER,
  PARAMETERS,
  RIVALS,
  ROWS,
  Recipe,
  changes,
  convention_of,
  docstring,
  file_and_variant,
  load,
)

from darkjax import models
from darkjax.data.mpii import convert
from darkjax.train import optim


def test_the_table_has_every_configuration_of_a_published_network():
  networks = {model for model, _ in PARAMETERS}
  published = {name for name in NAMES if load(name).model.name in networks}
  assert published == set(PAPER)


@pytest.mark.parametrize("name", PAPER)
def test_the_numbers_are_the_published_ones(name):
  config = load(name)
  varied = config.augmentation
  found = (
    config.model.name,
    config.convention.crop_size,
    config.convention.sigma,
    config.convention.blur_kernel,
    config.train.batch_size,
    Recipe(
      config.train.epochs,
      config.optimizer.milestones,
      varied.scale_factor,
      varied.rotation_degrees,
      varied.half_body_probability,
      config.convention.channel_order,
      config.optimizer.learning_rate,
    ),
  )
  assert found == PAPER[name]


@pytest.mark.parametrize("name", PAPER)
def test_what_no_published_file_varies(name):
  # HRNet's and DARK's code: mirrored and rotated with these probabilities,
  # Adam without decay of the weights, ×0.1 at a milestone, boxes × 1.25.
  config = load(name)
  assert config.augmentation.flip_probability == 0.5
  assert config.augmentation.rotation_probability == 0.6
  assert config.convention.padding == 1.25
  assert config.optimizer.decay == 0.1
  assert config.optimizer.warmup_steps == 0
  # The published rate is for the published batch, and is not scaled.
  assert config.optimizer.rate_batch_size == config.train.batch_size
  assert config.optimizer.rate_scaling == "none"
  assert config.train.device_batch_size == 0
  assert not config.train.remat
  assert config.optimizer.clip_norm == 0
  assert config.optimizer.ema_decay == 0
  assert config.loss.hardest_keypoints == 0
  assert config.model.bn_sync == "none"
  assert config.evaluate.flip_test


@pytest.mark.parametrize("name", ROWS)
def test_dark_is_unbiased(name):
  fields = load(name).convention
  switches = (fields.quantize, fields.truncate, fields.alignment)
  assert switches == ("none", 0.0, "dark")
  assert (fields.flip_shift, fields.head) == (0, "gaussian")
  assert load(name).loss.name == "mse"


@pytest.mark.parametrize(
  "name", [*BIASED, "quickstart", "lsp_hrnet_small_128x96"]
)
def test_biased_rows_differ_in_four_switches(name):
  assert changes(load(f"{name}:biased"), load(name)) == {
    "convention.quantize": "round",
    "convention.truncate": 3.0,
    "convention.alignment": "hrnet",
    "convention.flip_shift": 1,
  }


@pytest.mark.parametrize("rival", RIVALS)
def test_rivals_differ_in_loss_head_and_decoder(rival):
  dark = load("coco_hrnet_w32_128x96")
  assert changes(load(f"coco_hrnet_w32_128x96_{rival}"), dark) == {
    "loss.name": rival,
    "convention.head": "softmax",
    "evaluate.methods": ("integral",),
  }


@pytest.mark.parametrize("name", PAPER)
def test_docstrings_say_how_to_run_and_what_to_expect(name):
  text = docstring(name)
  file, _, variant = name.partition(":")
  assert f"--config=configs/{file}.py " in text
  assert f"--workdir=runs/{file} " in text
  assert f":{variant}" in text
  for word in ("Table", "Hardware", "Expected", "Achieved"):
    assert word in text or (word == "Table" and "in no table" in text)


@pytest.mark.usefixtures("optax_promotion")
@pytest.mark.parametrize("name", PAPER)
def test_the_schedule_follows_the_epochs(name):
  config = load(name)
  steps, rate = 7, config.optimizer.learning_rate
  sizes = {"steps_per_epoch": steps, "batch_size": config.train.batch_size}
  schedule = optim.learning_rate_schedule(config.optimizer, **sizes)
  optim.create_optimizer(schedule, clip_norm=config.optimizer.clip_norm)
  first, second = config.optimizer.milestones
  assert 0 < first < second < config.train.epochs
  epochs = np.array([0, first - 1, first, second, config.train.epochs - 1])
  rates = [float(schedule(epoch * steps)) for epoch in epochs]
  # float32 powers of 0.1.
  expected = rate * np.array([1, 1, 0.1, 0.01, 0.01])
  np.testing.assert_allclose(rates, expected, rtol=1e-6)


@functools.cache
def sizes(name: str) -> tuple[int, int]:
  """Parameters of a network with 17 keypoints, and of them for each one."""
  network = models.create_model(name, 17)
  images = jax.ShapeDtypeStruct((1, 64, 64, 3), jnp.float32)
  key = jax.eval_shape(jax.random.key, 0)
  params = jax.eval_shape(network.init, key, images)["params"]
  heads = params.get("final_layer")
  per_keypoint = count(heads) // 17 if heads else 0  # Hourglass has COCO's only
  return count(params), per_keypoint


def count(tree) -> int:
  return sum(leaf.size for leaf in jax.tree.leaves(tree))


@pytest.mark.parametrize("name", PAPER)
def test_networks_have_the_published_size(name):
  found, network = convention_of(name), load(name).model.name
  num_keypoints = found.skeleton.num_keypoints
  model = models.create_model(network, num_keypoints)
  assert model.num_keypoints == num_keypoints
  # Traced once per network; what 16 keypoints change: models/test_models.py.
  total, per_keypoint = sizes(network)
  expected = PARAMETERS[network, num_keypoints]
  assert total - per_keypoint * (17 - num_keypoints) == expected
  # Every network takes multiples of 32 and draws a quarter.
  height, width = found.crop_size
  assert (height % 32, width % 32) == (0, 0)
  assert found.heatmap_size == (height // 4, width // 4)


def test_boxes_of_mpii_give_the_official_crop():
  # HRNet's lib/dataset/mpii.py by hand: centre (101, 201 + 15 · 2) less 1,
  # scale 2 · 1.25 in units of 200 px.
  found = convention_of("mpii_hrnet_w32_256x256:biased")
  box = np.array(convert.crop_square([101.0, 201.0], 2.0))
  center, scale, _ = found.crop_from_box(box)
  np.testing.assert_allclose(center, [100.0, 230.0])
  np.testing.assert_allclose(scale, [500.0, 500.0])


def parse(name: str, *overrides: str) -> ml_collections.ConfigDict:
  """The configuration as `python -m darkjax.train` gets it."""
  arguments = ["train", f"--config={file_and_variant(name)}", *overrides]
  values = flags.FlagValues()
  holder = config_flags.DEFINE_config_file(
    "config", flag_values=values, sys_argv=arguments
  )
  values(arguments)
  return holder.value


# ml_collections reads files by a method that Python 3.12 drops.
@pytest.mark.filterwarnings("ignore:the load_module:DeprecationWarning")
@pytest.mark.parametrize("name", NAMES)
def test_the_command_line_changes_known_fields_only(name):
  config = parse(name, "--config.train.epochs=3")
  assert config.is_locked
  assert config.train.epochs == 3
  assert set(changes(config, load(name))) <= {"train.epochs"}
  with pytest.raises(AttributeError, match="epoch"):
    parse(name, "--config.train.epoch=3")


@pytest.mark.parametrize("name", FILES)
def test_an_unknown_variant_is_an_error_that_lists_the_known_ones(name):
  with pytest.raises(ValueError, match=r"'unbiased' .*, known are: biased$"):
    load(f"{name}:unbiased")


def test_configurations_import_no_other_package_than_ml_collections():
  # A configuration is read before flags and devices are set, and from folders
  # that are no package.
  for name in FILES:
    tree = ast.parse((FOLDER / f"{name}.py").read_text())
    modules = {
      alias.name
      for node in ast.walk(tree)
      if isinstance(node, ast.Import | ast.ImportFrom)
      for alias in node.names
    }
    assert modules <= {"ml_collections", "os", "pathlib", "runpy"}, name


def test_configurations_load_from_any_package(tmp_path, monkeypatch):
  """As in a wheel, which holds the folder inside its package."""
  (tmp_path / "installed").mkdir()
  ignored = shutil.ignore_patterns("__pycache__")
  folder = tmp_path / "installed" / "configs"
  shutil.copytree(FOLDER, folder, ignore=ignored)
  monkeypatch.syspath_prepend(tmp_path)
  for name in NAMES:
    file, _, variant = name.partition(":")
    module = importlib.import_module(f"installed.configs.{file}")
    assert module.__file__.startswith(str(tmp_path))
    assert not changes(module.get_config(variant), load(name)), name
