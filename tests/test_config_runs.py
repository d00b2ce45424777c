"""The configurations in use: fields that are read, one step of each family."""

import dataclasses
import functools
import json
import sys

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
import pytest
import tiny_config
from published import R50, convention_of, leaves, load

from darkjax import checkpoint, convention, models, skeletons
from darkjax.data import batch as schema
from darkjax.data import from_config
from darkjax.data.pipeline import augment
from darkjax.data.synthetic import dataset
from darkjax.evaluate import predict
from darkjax.inference.predictor import Predictor
from darkjax.train import loop, optim, step


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
  "hrnet_w32": tiny_config.OVERRIDES,
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


def plant(monkeypatch, module, name: str) -> set[str]:
  """Adds a field `planted` to a dataclass and records which fields are read.

  Only reads by the field's literal name count, so not those of comparisons,
  hashes, checks and serialization, which go through all fields.

  Returns:
    The names of the fields not read so far.
  """
  record = dataclasses.make_dataclass(
    name,
    [("planted", int, 0)],
    bases=(getattr(module, name),),
    frozen=True,
  )
  unread = {field.name for field in dataclasses.fields(record)}

  def read(self, field):
    code = sys._getframe(1).f_code
    if field in code.co_names and code.co_filename != "<string>":
      unread.discard(field)
    return object.__getattribute__(self, field)

  record.__getattribute__ = read
  monkeypatch.setattr(module, name, record)
  return unread


@pytest.mark.usefixtures("optax_promotion")
@pytest.mark.filterwarnings("ignore:.*:DeprecationWarning")
def test_a_run_reads_every_field(tmp_path, monkeypatch):
  """`train` on a recording configuration, from files to metrics, one step.

  Fields that nothing reads are planted and must be the only unread ones. The
  sections that are passed whole are followed into their dataclasses.
  """
  unread = [
    plant(monkeypatch, convention, "Convention"),
    plant(monkeypatch, augment, "Augmentation"),
  ]
  config = tiny("coco_hrnet_w32_128x96:biased")
  for split in ("train", "val"):
    dataset.write_dataset(tmp_path, num_people=PEOPLE, seed=3, split=split)
  config.data.root = str(tmp_path)
  config.data.train = (("annotations/person_keypoints_train.json", "images"),)
  config.data.val = ("annotations/person_keypoints_val.json", "images")
  config.data.cache = str(tmp_path / "cache")
  config.train.epochs = 1
  for section in (config.train, config.convention, config.augmentation):
    section.planted = 0
  recorder = Recorder(config)
  loop.train(recorder, str(tmp_path / "run"))
  config.data.source = "resident"  # the only reader of data.pack
  with pytest.raises(ValueError, match=r"--config\.data\.pack"):
    from_config.read(recorder)
  assert set(leaves(config)) - recorder.read == {"train.planted"}
  assert unread == [{"planted"}, {"planted"}]

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
  schedule = optim.learning_rate_schedule(
    config.optimizer, steps_per_epoch=1, batch_size=PEOPLE
  )
  optimizer = optim.create_optimizer(
    schedule, clip_norm=config.optimizer.clip_norm
  )
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

  flip_test = config.evaluate.flip_test
  result = predict.predict_dataset(
    [Predictor(model, after.variables, found, flip_test=flip_test)],
    [[batch]],
    methods=config.evaluate.methods,
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
