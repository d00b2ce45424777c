"""The command on detected boxes: the same bytes however people are shared."""

import json
import logging
import os
import pathlib
import subprocess
import sys

import commands
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny_weights
from paths import ROOT

from configs import quickstart
from darkjax import convention, skeletons
from darkjax.data import from_config
from darkjax.data.synthetic import dataset
from darkjax.evaluate import predict
from darkjax.evaluate.scores import DatasetPredictions
from darkjax.inference.predictor import Predictor
from darkjax.train import evaluation

pytestmark = pytest.mark.filterwarnings("ignore:.*:DeprecationWarning")

BOXES = 13
# (devices, people at a time): 13 is a multiple of no batch but one, and 7 is
# not one of 2 devices, nor 13 of 3. This process has the 2 devices.
SHARES = ((1, 1), (3, 13))
HERE = (2, 7)


def detected(annotations: pathlib.Path) -> list[dict]:
  """Boxes around the people, more than one for some, in no order."""
  people = json.loads(annotations.read_text())["annotations"]
  rng = np.random.default_rng(9)
  return [
    {
      "image_id": people[i]["image_id"],
      "category_id": 1,
      "bbox": (np.array(people[i]["bbox"]) + rng.normal(0, 3, 4)).tolist(),
      "score": float(score),
    }
    for i, score in zip(
      rng.integers(0, len(people), BOXES), rng.random(BOXES), strict=True
    )
  ]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
  root = tmp_path_factory.mktemp("boxes")
  annotations = dataset.write_dataset(root, num_people=5, seed=2)
  content = json.loads(annotations.read_text())
  # An image that nobody is labelled in, and a detector sees somebody in.
  lonely = content["annotations"].pop()["image_id"]
  boxes = [*detected(annotations)[1:], detection_in(lonely)]
  annotations = root / "people.json"
  annotations.write_text(json.dumps(content))
  (root / "detections.json").write_text(json.dumps(boxes))
  tiny_weights.save(root / "weights")
  return root


def detection_in(image_id: int) -> dict:
  box = [10.0, 10.0, 50.0, 90.0]
  return {"image_id": image_id, "category_id": 1, "bbox": box, "score": 0.5}


def arguments(folder, batch_size: int, results: pathlib.Path) -> list[str]:
  values = {
    "checkpoint": folder / "weights",
    "annotations": folder / "people.json",
    "images": folder / "images",
    "boxes": folder / "detections.json",
    "methods": "argmax,dark",
    "batch_size": batch_size,
    "results": results,
    "cache": folder / "cache",
  }
  return [f"--{name}={value}" for name, value in values.items()]


def start(folder, devices: int, batch_size: int, *options: str):
  """`python -m darkjax.evaluate` as a process of its own."""
  results = folder / f"results_{devices}_{batch_size}.json"
  cache = os.environ.get("JAX_COMPILATION_CACHE_DIR", ROOT / ".cache" / "jax")
  environment = {
    "JAX_NUM_CPU_DEVICES": str(devices),
    "JAX_COMPILATION_CACHE_DIR": str(cache),
  }
  process = subprocess.Popen(
    [
      *(sys.executable, "-m", "darkjax.evaluate"),
      *arguments(folder, batch_size, results),
      *options,
    ],
    cwd=ROOT,
    env=os.environ | environment,
    stdout=subprocess.PIPE,
    stderr=subprocess.PIPE,
    text=True,
  )
  return process, results


def run_here(folder, *options: str, batch_size: int = 5):
  """The command in this process, and the path of its results."""
  results = folder / "results_here.json"
  results.unlink(missing_ok=True)
  return commands.run(
    "evaluate", *arguments(folder, batch_size, results), *options
  ), results


def finish(process) -> tuple[str, str]:
  output, log = process.communicate(timeout=900)
  assert process.returncode == 0, log
  return output, log


@pytest.fixture(scope="module")
def runs(folder):
  """(printed, logged, results) of every way to share the people."""
  started = [
    start(folder, *share, f"--picture={folder / 'people.png'}")
    for share in SHARES
  ]
  return [(*finish(process), path.read_text()) for process, path in started]


def test_results_do_not_depend_on_devices_and_batches(runs, folder):
  """Byte for byte, see evaluate/predict.py."""
  devices, batch_size = HERE
  assert jax.device_count() == devices
  _, here = run_here(folder, batch_size=batch_size)
  first, *others = [*(results for _, _, results in runs), here.read_text()]
  assert others == [first] * len(others)
  points = np.array([r["keypoints"] for r in json.loads(first)])
  # The weights find different points in different crops: nothing is trivial.
  assert len(np.unique(points[:, 0])) > BOXES // 2


def test_every_box_counts_once(runs, folder):
  results = json.loads(runs[0][2])
  boxes = json.loads((folder / "detections.json").read_text())
  assert {r["image_id"] for r in results} == {b["image_id"] for b in boxes}
  assert len(results) <= BOXES


def test_the_table_says_detections(runs, folder):
  printed, logged, _ = runs[0]
  header, *rows = printed.splitlines()
  assert header.split() == [
    "AP", "AP50", "AP75", "APM", "APL", "AR", "AR50", "AR75", "ARM", "ARL",
  ]  # fmt: skip
  assert [row.split()[0] for row in rows] == ["argmax", "dark", "boxes:"]
  assert rows[-1] == "boxes: detections"
  assert "13 boxes of score 0 or more in" in logged
  for stage in ("waiting for crops", "network and decoding", "COCO's AP"):
    assert stage in logged
  assert (folder / "people.png").stat().st_size > 0


def changed(folder, name: str, change):
  """Another json of the same images."""
  content = json.loads((folder / "people.json").read_text())
  change(content)
  path = folder / name
  path.write_text(json.dumps(content))
  return f"--annotations={path}"


def without_labels(content):
  del content["annotations"]
  content["categories"] = [
    {"id": 1, "name": "person"},
    {"id": 2, "name": "car"},
  ]


def test_of_images_without_labels_the_results_are_written(runs, folder):
  """As of COCO's test-dev: the same bytes as with labels, and no score."""
  unlabelled = changed(folder, "image_info.json", without_labels)
  done, path = run_here(folder, unlabelled)
  assert "image_info.json has no labels: nothing is scored" in done.stdout
  assert "AP" not in done.stdout
  assert path.read_text() == runs[0][2]


def test_the_labels_sigmas_score_where_they_are_asked_for(folder, caplog):
  """Sigmas far too large, with which any network scores well."""

  def enlarge(content):
    sigmas = [str(200 * sigma) for sigma in skeletons.COCO.sigmas]
    content["categories"][0]["sigmas"] = sigmas

  labels = changed(folder, "large_sigmas.json", enlarge)

  def average_precision(*options) -> float:
    done, _ = run_here(folder, labels, "--boxes=gt", *options)
    assert done.returncode == 0, done.stderr
    return float(done.stdout.splitlines()[-2].split()[1])

  own = average_precision()
  assert (
    "OKS sigmas are those of the checkpoint (nose 0.026, not" in caplog.text
  )
  assert average_precision("--sigmas=labels") > own + 10


@pytest.mark.parametrize(
  ("flag", "message"),
  [
    ("--boxes=gt", "has no labels, so neither boxes nor a score; give"),
    ("--results=", "has no labels, so neither boxes nor a score; give"),
    ("--metrics=m.json", "has no labels, so nothing to write to --metrics"),
  ],
)
def test_without_labels_what_needs_them_is_refused(folder, flag, message):
  unlabelled = changed(folder, "image_info.json", without_labels)
  done, _ = run_here(folder, unlabelled, flag)
  assert done.returncode == 2
  assert message in done.stderr


@pytest.mark.parametrize(
  ("wrong", "message"),
  [
    ("--scales=1,big", "--scales=['1', 'big']: are numbers above 0"),
    ("--methods=", "--methods=[]: are some of argmax, "),
    ("--methods=dark,none", "are some of argmax, "),
    ("--picture=people.txt", "'.txt' is not a format of pictures"),
    ("--results=.", "a folder, not a file"),
    ("--metrics=RESULTS", "two outputs are one file"),
  ],
)
def test_wrong_flags_are_refused_at_once(folder, wrong, message, caplog):
  with caplog.at_level(logging.INFO):
    results = str(folder / "results_here.json")
    done, _ = run_here(folder, wrong.replace("RESULTS", results))
  assert done.returncode == 2
  assert message in done.stderr
  assert "detections" not in caplog.text  # nothing was read


def with_balls(content):
  """People are category 4; the first category has other keypoints."""
  ball = {"id": 1, "name": "ball", "keypoints": ["top", "bottom"]}
  content["categories"] = [ball, {**content["categories"][0], "id": 4}]
  for person in content["annotations"]:
    person["category_id"] = 4
  ball = {**content["annotations"][0], "id": 9000, "category_id": 1}
  content["annotations"].append({**ball, "keypoints": [9, 9, 2] * 2})


@pytest.mark.parametrize(
  ("flag", "name"),
  [
    ("metrics", "people.json"),
    ("results", "detections.json"),
    ("picture", "images/train_000001.jpg"),
  ],
)
def test_no_output_takes_the_place_of_what_is_read(folder, flag, name):
  before = (folder / name).read_bytes()
  done, _ = run_here(folder, f"--{flag}={folder / 'images' / '..' / name}")
  assert done.returncode == 2
  assert "is a file to read and would be replaced" in done.stderr
  assert (folder / name).read_bytes() == before


def test_the_checkpoint_chooses_among_categories(folder, caplog):
  mixed = changed(folder, "mixed.json", with_balls)
  with caplog.at_level(logging.INFO):
    done, path = run_here(folder, mixed, "--boxes=gt")
  assert "boxes: gt_boxes" in done.stdout
  assert "scored 4 people" in caplog.text
  assert {r["category_id"] for r in json.loads(path.read_text())} == {4}


class Flat:
  """A network whose maps are flat."""

  def apply(self, variables, images, *, train):
    """[B, 16, 16, 17] of ones."""
    del variables, train
    return jnp.ones((len(images), 16, 16, 17))


def test_training_can_validate_on_detected_boxes(folder, caplog):
  config = quickstart.get_config()
  config.convention.crop_size = (64, 64)
  config.data.root = str(folder)
  config.data.cache = str(folder / "cache")
  config.data.train = (("people.json", "images"),)
  config.data.val = ("people.json", "images")
  config.evaluate.boxes = "detections.json"
  config.evaluate.box_threshold = 0.4
  config.evaluate.nms = "none"
  config.evaluate.methods = ("argmax",)
  config.train.batch_size = 4
  with caplog.at_level(logging.INFO):
    data = from_config.read(config)
  boxes = json.loads((folder / "detections.json").read_text())
  sure = [box for box in boxes if box["score"] >= 0.4]
  assert 0 < len(sure) < len(boxes)
  assert f"{len(sure)} boxes of score 0.4 or more" in caplog.text
  metrics = evaluation.evaluate(Flat(), {}, config=config, data=data).metrics
  assert next(iter(metrics)) == "argmax/AP/detections"
  assert len(metrics) == 10


class Pixels:
  """A network whose 17 maps are every fourth pixel, from three colours."""

  def apply(self, variables, images, *, train):
    """[B, 16, 16, 17]."""
    del variables, train
    return jnp.tile(images[:, ::4, ::4], (1, 1, 1, 6))[..., :17]


def batch_of(crops: np.ndarray, first: int = 0) -> dict[str, np.ndarray]:
  """Crops [B, 64, 64, 3] of images numbered from `first`."""
  rows = len(crops)
  matrix = np.float32([[4.1, 0, 300], [0, 4.3, 200]])
  return {
    "image": crops,
    "image_from_heatmap": np.tile(matrix, (rows, 1, 1)),
    "keypoints_heatmap": np.zeros((rows, 17, 2), np.float32),
    "visibility": np.zeros((rows, 17), np.float32),
    "mask": np.ones(rows, np.float32),
    "image_id": first + np.arange(rows),
    "annotation_id": first + np.arange(rows),
    "score": np.ones(rows, np.float32),
    "box_area": np.ones(rows, np.float32),
  }


def predicted(network, batches, methods=None, **options) -> DatasetPredictions:
  config = quickstart.get_config().convention
  config.crop_size = (64, 64)
  used = convention.from_config(config, skeleton=skeletons.COCO)
  predictor = Predictor(network, {}, used, **options)
  return predict.predict_dataset([predictor], zip(batches), methods=methods)


@pytest.mark.parametrize("rows", [1, 2, 3])
def test_any_number_of_people_is_shared_by_the_devices(rows):
  """The last row is repeated, and dropped on the way back."""
  crops = np.full((rows, 64, 64, 3), 100, np.uint8)
  people = predicted(Flat(), [batch_of(crops)] * 2, methods=("argmax",))
  assert people.image_ids.tolist() == np.repeat(np.arange(rows), 2).tolist()
  assert people.keypoints["argmax"].shape == (2 * rows, 17, 2)


@pytest.mark.parametrize("border", ["official", "refine"])
def test_decoding_gives_the_same_bits_in_any_batch(rng, border):
  """Decoded as one, 64 people a device differ from 8 in the last digit."""
  crops = rng.integers(0, 256, (128, 64, 64, 3), np.uint8)
  network = Pixels()
  whole = predicted(network, [batch_of(crops)], border=border)
  parts = [batch_of(crops[i : i + 8], i) for i in range(0, 128, 8)]
  split = predicted(network, parts, border=border)
  for method, keypoints in whole.keypoints.items():
    np.testing.assert_array_equal(keypoints, split.keypoints[method])
