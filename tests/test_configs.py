"""The configurations: published numbers, fields that are read, one step each.

The numbers are those of the authors' experiments/**/*.yaml
(github.com/ilovepose/DarkPose), written out below as a table.
"""

import ast
import dataclasses
import functools
import importlib
import inspect
import json
import pathlib
from typing import NamedTuple

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
import pytest
from absl import flags
from ml_collections import config_flags

import darkjax
from darkjax import (
  checkpoint,
  convention,
  evaluate,
  models,
  optim,
  skeletons,
  step,
  train,
)
from darkjax.data import augment, mpii, schema, synthetic

FOLDER = pathlib.Path(__file__).resolve().parent.parent / "configs"
NAMES = sorted(
  path.stem for path in FOLDER.glob("*.py") if path.stem != "biased"
)


class Recipe(NamedTuple):
  """What the files of one architecture and data set share."""

  epochs: int
  milestones: tuple[int, int]
  scale: float
  rotation: float  # degrees
  half_body: float
  channel_order: str
  learning_rate: float


HRNET = Recipe(210, (170, 200), 0.35, 45.0, 0.3, "rgb", 1e-3)
RESNET = Recipe(140, (90, 120), 0.3, 40.0, 0.0, "bgr", 1e-3)
HOURGLASS = Recipe(140, (90, 120), 0.3, 40.0, 0.0, "bgr", 2.5e-4)
MPII_HRNET = Recipe(210, (170, 200), 0.25, 30.0, 0.0, "rgb", 1e-3)
MPII_RESNET = Recipe(140, (90, 120), 0.25, 30.0, 0.0, "bgr", 1e-3)

S, M, L, SQUARE = (128, 96), (256, 192), (384, 288), (256, 256)
R50, R101, R152 = (f"simple_baseline_{depth}" for depth in (50, 101, 152))

# Model, crop (height, width), sigma, blur kernel, people on all GPUs, recipe.
ROWS = {
  "coco_hrnet_w32_128x96": ("hrnet_w32", S, 1, 3, 2 * 64, HRNET),
  "coco_hrnet_w32_256x192": ("hrnet_w32", M, 2, 11, 4 * 32, HRNET),
  "coco_hrnet_w32_384x288": ("hrnet_w32", L, 3, 11, 4 * 28, HRNET),
  "coco_hrnet_w48_128x96": ("hrnet_w48", S, 1, 11, 2 * 64, HRNET),
  "coco_hrnet_w48_256x192": ("hrnet_w48", M, 2, 11, 4 * 30, HRNET),
  "coco_hrnet_w48_384x288": ("hrnet_w48", L, 3, 11, 4 * 18, HRNET),
  "coco_simple_baseline_50_128x96": (R50, S, 1, 3, 2 * 64, RESNET),
  "coco_simple_baseline_50_256x192": (R50, M, 2, 11, 4 * 32, RESNET),
  "coco_simple_baseline_50_384x288": (R50, L, 3, 11, 4 * 32, RESNET),
  "coco_simple_baseline_101_128x96": (R101, S, 1, 3, 2 * 64, RESNET),
  "coco_simple_baseline_101_256x192": (R101, M, 2, 11, 4 * 32, RESNET),
  "coco_simple_baseline_101_384x288": (R101, L, 3, 11, 4 * 32, RESNET),
  "coco_simple_baseline_152_128x96": (R152, S, 1, 3, 2 * 64, RESNET),
  "coco_simple_baseline_152_256x192": (R152, M, 2, 11, 4 * 32, RESNET),
  "coco_simple_baseline_152_384x288": (R152, L, 3, 11, 4 * 32, RESNET),
  "coco_hourglass_4_128x96": ("hourglass_4", S, 1, 11, 8, HOURGLASS),
  "coco_hourglass_8_128x96": ("hourglass_8", S, 2, 11, 8, HOURGLASS),
  "mpii_hrnet_w32_256x256": ("hrnet_w32", SQUARE, 2, 11, 4 * 32, MPII_HRNET),
  "mpii_hrnet_w48_256x256": ("hrnet_w48", SQUARE, 2, 11, 4 * 32, MPII_HRNET),
  "mpii_simple_baseline_50_256x256": (R50, SQUARE, 2, 11, 128, MPII_RESNET),
  "mpii_simple_baseline_101_256x256": (R101, SQUARE, 2, 11, 128, MPII_RESNET),
  "mpii_simple_baseline_152_256x256": (R152, SQUARE, 2, 11, 128, MPII_RESNET),
}
# Rows of the paper without DARK, and its two rivals in Table 6.
BIASED = (
  "coco_hrnet_w32_128x96",
  "coco_hrnet_w32_256x192",
  "coco_hrnet_w32_384x288",
  "coco_hrnet_w48_128x96",
  "coco_hrnet_w48_384x288",
  "coco_simple_baseline_50_128x96",
  "coco_simple_baseline_101_128x96",
  "coco_simple_baseline_152_128x96",
  "coco_simple_baseline_152_384x288",
  "coco_hourglass_4_128x96",
  "coco_hourglass_8_128x96",
  "mpii_hrnet_w32_256x256",
)
RIVALS = ("ipr", "dsnt")
PAPER = {
  **ROWS,
  **{f"{name}_biased": ROWS[name] for name in BIASED},
  **{
    f"coco_hrnet_w32_128x96_{rival}": ROWS["coco_hrnet_w32_128x96"]
    for rival in RIVALS
  },
}

# Counted on the authors' modules in PyTorch, 17 and 16 keypoints.
PARAMETERS = {
  ("hrnet_w32", 17): 28_536_113,
  ("hrnet_w48", 17): 63_595_745,
  (R50, 17): 33_999_697,
  (R101, 17): 52_991_825,
  (R152, 17): 68_635_473,
  ("hourglass_4", 17): 13_020_612,
  ("hourglass_8", 17): 25_598_472,
  ("hrnet_w32", 16): 28_536_080,
  ("hrnet_w48", 16): 63_595_696,
  (R50, 16): 33_999_440,
  (R101, 16): 52_991_568,
  (R152, 16): 68_635_216,
}


def load(name: str) -> ml_collections.ConfigDict:
  return importlib.import_module(f"configs.{name}").get_config()


def skeleton_of(name: str) -> skeletons.Skeleton:
  return skeletons.MPII if name.startswith("mpii") else skeletons.COCO


def convention_of(name: str, config=None) -> convention.Convention:
  fields = (config or load(name)).convention
  return convention.from_config(fields, skeleton=skeleton_of(name))


def leaves(config, path=()) -> dict[str, object]:
  """Fields by dotted name; the free-form `model.overrides` is one."""
  found = {}
  for name, value in config.items():
    inner = (*path, name)
    if name == "overrides":
      found[".".join(inner)] = value.to_dict()
    elif isinstance(value, ml_collections.ConfigDict):
      found |= leaves(value, inner)
    else:
      found[".".join(inner)] = value
  return found


def changes(config, other) -> dict[str, object]:
  """Fields of `config` that `other` has not, or has with another value."""
  before = leaves(other)
  return {
    name: value
    for name, value in leaves(config).items()
    if name not in before or before[name] != value
  }


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


@pytest.mark.parametrize("name", BIASED)
def test_biased_rows_differ_in_four_switches(name):
  assert changes(load(f"{name}_biased"), load(name)) == {
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
  text = importlib.import_module(f"configs.{name}").__doc__
  assert f"--config=configs/{name}.py " in text
  assert f"--workdir=runs/{name} " in text
  for word in ("Table", "Hardware", "Expected", "Achieved"):
    assert word in text or (word == "Table" and "in no table" in text)


@pytest.mark.usefixtures("optax_promotion")
@pytest.mark.parametrize("name", PAPER)
def test_the_schedule_follows_the_epochs(name):
  config = load(name)
  steps, rate = 7, config.optimizer.learning_rate
  schedule = optim.learning_rate_schedule(
    config.optimizer, steps_per_epoch=steps
  )
  optim.create_optimizer(config.optimizer, steps_per_epoch=steps)
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
  found = convention_of("mpii_hrnet_w32_256x256_biased")
  box = np.array(mpii.crop_square([101.0, 201.0], 2.0))
  center, scale, _ = found.crop_from_box(box)
  np.testing.assert_allclose(center, [100.0, 230.0])
  np.testing.assert_allclose(scale, [500.0, 500.0])


def parse(name: str, *overrides: str) -> ml_collections.ConfigDict:
  """The configuration as `python -m darkjax.train` gets it."""
  arguments = ["train", f"--config={FOLDER / name}.py", *overrides]
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


class Recorder:
  """A configuration that remembers which of its fields were read."""

  def __init__(self, config, read=None, path=""):
    self.read = set() if read is None else read
    self._config, self._path = config, path

  def __getattr__(self, name):
    return self[name]

  def __getitem__(self, name):
    value = self._config[name]
    self.read.add(self._path + name)
    if isinstance(value, ml_collections.ConfigDict):
      return Recorder(value, self.read, f"{self._path}{name}.")
    return value

  def keys(self):
    return self._config.keys()

  def to_dict(self):  # writing a configuration down is not reading it
    return self._config.to_dict()


TINY = {
  "hrnet_w32": {
    "stem_features": 4,
    "stage1_features": 4,
    "stage1_blocks": 1,
    "channels": 4,
    "modules": (1,),
    "blocks": 1,
  },
  R50: {"blocks": (1, 1, 1, 1), "features": 4, "deconv_features": 4},
  "hourglass_4": {"stacks": 1, "features": 4},
}
SIZE = (96, 64)  # a crop that every network takes; seconds to compile
PEOPLE = 4


def tiny(name: str) -> ml_collections.ConfigDict:
  """The configuration, with a narrow network and small crops."""
  config = load(name)
  config.convention.crop_size = SIZE
  config.model.overrides = ml_collections.ConfigDict(TINY[config.model.name])
  config.train.batch_size = config.evaluate.batch_size = PEOPLE
  config.evaluate.methods = config.evaluate.methods[-1:]
  return config


@pytest.mark.usefixtures("optax_promotion")
@pytest.mark.filterwarnings("ignore:.*:DeprecationWarning")
def test_a_run_reads_every_field(tmp_path):
  """`train` on a recording configuration, from files to metrics, one step.

  A field nobody reads is planted and must be the only one that stays unread.
  """
  config = tiny("coco_hrnet_w32_128x96_biased")
  for split in ("train", "val"):
    synthetic.write_dataset(tmp_path, num_people=PEOPLE, seed=3, split=split)
  config.data.root = str(tmp_path)
  config.data.train = (("annotations/person_keypoints_train.json", "images"),)
  config.data.val = ("annotations/person_keypoints_val.json", "images")
  config.data.cache = str(tmp_path / "cache")
  config.train.epochs = 1
  config.train.planted = 0
  recorder = Recorder(config)
  train.train(recorder, str(tmp_path / "run"))
  assert set(leaves(config)) - recorder.read == {"train.planted"}

  lines = (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
  first = json.loads(lines[0])
  assert np.isfinite([first["loss"], first["gradient_norm"]]).all()
  scale = checkpoint.load(tmp_path / "run")[0]["params"]["bn1"]["scale"]
  # Scales start at 1, and Adam's first step is the learning rate, 1e-3, less
  # a little where a gradient is near its ε of 1e-8.
  moved = abs(scale - 1)
  assert ((moved > 5e-4) & (moved < 1.001e-3)).all()


def test_sections_passed_whole_refuse_unknown_fields():
  config = load("coco_hrnet_w32_128x96")
  config.convention.planted = config.augmentation.planted = 0
  with pytest.raises(TypeError, match="planted"):
    convention.from_config(config.convention, skeleton=skeletons.COCO)
  with pytest.raises(TypeError, match="planted"):
    augment.from_config(config.augmentation)


def attributes_read(*owners: str) -> set[str]:
  """Names read in darkjax as an attribute of anything called `owners`."""
  names = set()
  for path in pathlib.Path(darkjax.__file__).parent.rglob("*.py"):
    for node in ast.walk(ast.parse(path.read_text())):
      if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load):
        owner = getattr(node.value, "id", getattr(node.value, "attr", None))
        if owner in owners:
          names.add(node.attr)
  return names


@pytest.mark.parametrize(
  ("section", "owners"),
  [
    # `self` in Convention's own methods.
    (convention.Convention, ("convention", "self")),
    (augment.Augmentation, ("augmentation",)),
  ],
)
def test_fields_of_sections_passed_whole_are_used(section, owners):
  fields = {field.name for field in dataclasses.fields(section)}
  assert fields <= attributes_read(*owners)


def people(skeleton: skeletons.Skeleton) -> dict[str, np.ndarray]:
  """A batch of noise with labels inside the map."""
  rng = np.random.default_rng(5)
  points = rng.uniform(2, 13, (PEOPLE, skeleton.num_keypoints, 2))
  matrix = np.float32([[4, 0, 10], [0, 4, 20]])
  return {
    "image": rng.integers(0, 255, (PEOPLE, *SIZE, 3)).astype(np.uint8),
    "keypoints_heatmap": points.astype(np.float32),
    "visibility": np.ones(points.shape[:2], np.float32),
    "image_from_heatmap": np.tile(matrix, (PEOPLE, 1, 1)),
    "mask": np.ones(PEOPLE, np.float32),
    "image_id": np.arange(PEOPLE),
    "annotation_id": np.arange(PEOPLE),
    "score": np.ones(PEOPLE, np.float32),
    "box_area": np.full(PEOPLE, 6144, np.float32),
  }


def state_of(model, optimizer) -> step.State:
  """Weights from NumPy: `model.init` takes longer to compile than a step."""
  rng = np.random.default_rng(6)
  images = jax.ShapeDtypeStruct((1, *SIZE, 3), jnp.float32)
  key = jax.eval_shape(jax.random.key, 0)
  shapes = jax.eval_shape(model.init, key, images)
  params = jax.tree.map(
    lambda leaf: jnp.asarray(rng.normal(0.0, 0.1, leaf.shape), jnp.float32),
    shapes["params"],
  )
  statistics = jax.tree.map(
    lambda leaf: jnp.ones(leaf.shape), shapes["batch_stats"]
  )
  start = jnp.zeros((), jnp.int32)
  return step.State(start, params, statistics, optimizer.init(params), None)


@pytest.mark.usefixtures("optax_promotion")
@pytest.mark.parametrize(
  "name",
  [
    "coco_hrnet_w32_128x96_ipr",
    "coco_hrnet_w32_128x96_dsnt",
    "mpii_simple_baseline_50_256x256",
    "coco_hourglass_4_128x96",
  ],
)
def test_one_step_of_training_and_evaluation(name):
  """The other families; HRNet with heatmaps is in the test above."""
  config = tiny(name)
  found = convention_of(name, config)
  batch = people(found.skeleton)
  model = models.create_model(
    config.model.name, found.skeleton.num_keypoints, **config.model.overrides
  )
  optimizer = optim.create_optimizer(config.optimizer, steps_per_epoch=1)
  before = state_of(model, optimizer)
  take = functools.partial(
    step.train_step,
    model=model,
    optimizer=optimizer,
    convention=found,
    loss=config.loss.name,
  )
  # Half the time to compile, for a program that runs once.
  take = jax.jit(take, compiler_options={"xla_backend_optimization_level": 0})
  after, values = take(before, schema.to_device_fields(batch))
  assert np.isfinite(list(map(float, values.values()))).all()
  assert float(values["loss"]) > 0
  moved = jax.tree.map(
    lambda a, b: float(abs(a - b).max()), before.params, after.params
  )
  # Adam's first step is the learning rate, for every kernel that matters.
  largest = max(jax.tree.leaves(moved))
  assert largest == pytest.approx(config.optimizer.learning_rate, rel=1e-2)

  result = evaluate.predict(
    model,
    after.variables,
    [batch],
    found,
    methods=config.evaluate.methods,
    flip_test=config.evaluate.flip_test,
  )
  shape = (PEOPLE, found.skeleton.num_keypoints, 2)
  for keypoints in result.keypoints.values():
    assert keypoints.shape == shape
    # The map's corners in the image: 4 · (15, 23) + (10, 20).
    assert (keypoints >= [10, 20]).all()
    assert (keypoints <= [70, 112]).all()
  np.testing.assert_allclose(
    result.truth, 4 * batch["keypoints_heatmap"] + [10, 20], rtol=1e-6
  )


def test_configurations_import_nothing_of_the_library():
  # A configuration is read before flags and devices are set.
  for name in [*NAMES, "biased"]:
    source = inspect.getsource(importlib.import_module(f"configs.{name}"))
    assert "darkjax." not in source.split('"""')[2]
