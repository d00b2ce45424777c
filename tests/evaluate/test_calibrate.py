"""The command: a labelled data set in, weights with a calibration out."""

import json
import re

import commands
import numpy as np
import pytest
import tiny_weights

from darkjax import checkpoint
from darkjax.data.synthetic import dataset
from darkjax.evaluate import calibrate
from darkjax.inference.pose import Pose
from darkjax.metrics import calibration_fit
from darkjax.metrics.calibration import Calibration

pytestmark = pytest.mark.filterwarnings("ignore:.*:DeprecationWarning")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
  folder = tmp_path_factory.mktemp("calibrate")
  dataset.write_dataset(folder, num_people=32, seed=2)
  tiny_weights.save(folder / "weights")
  return folder


def run(folder, *arguments, out="new/out.safetensors"):
  json_path = next((folder / "annotations").glob("*.json"))
  return commands.run(
    "calibrate",
    f"--checkpoint={folder / 'weights'}",
    f"--annotations={json_path}",
    f"--images={folder / 'images'}",
    f"--cache={folder / 'cache'}",
    f"--out={folder / out}",
    "--batch_size=8",
    *arguments,
  )


@pytest.fixture(scope="module")
def calibrated(folder):
  # About the median: the maxima of random weights lie in the crop's corners.
  done = run(folder, "--tolerance=0.75")
  assert done.returncode == 0, done.stderr
  return done.stdout, checkpoint.load(folder / "new" / "out.safetensors")


def test_it_reports_before_and_after(calibrated):
  text, (_, metadata) = calibrated
  report = metadata.calibration.report
  assert text.splitlines()[0].startswith(f"{report['keypoints']} keypoints, ")
  assert "within 0.75 of the box" in text
  (before, after) = re.search(r"ECE\)\s+([\d.]+)\s+([\d.]+)", text).groups()
  assert float(before) == pytest.approx(report["ece_before"], abs=5e-4)
  assert float(after) == pytest.approx(report["ece_after"], abs=5e-4)
  assert report["keypoints"] > 400
  assert 0.02 < report["within"] < 0.98
  # Maxima of random maps are no probabilities.
  assert report["ece_after"] < report["ece_before"] / 2


def test_the_weights_stay_the_same(calibrated, folder):
  _, (variables, metadata) = calibrated
  before, described = checkpoint.load(folder / "weights")
  assert metadata._replace(calibration=None) == described
  kernel = variables["params"]["final_layer"]["kernel"]
  np.testing.assert_allclose(
    kernel, before["params"]["final_layer"]["kernel"], rtol=2**-11, atol=1e-7
  )


def test_pose_and_releases_use_it(calibrated, folder, caplog):
  _, (_, metadata) = calibrated
  path = folder / "new" / "out.safetensors"
  release = folder / "release"
  arguments = [f"--checkpoint={path}", f"--out={release}", "--licence=MIT"]
  assert commands.run("release", *arguments).returncode == 0
  image = np.random.default_rng(0).integers(0, 256, (90, 70, 3), np.uint8)
  (person,) = Pose.from_pretrained(release)(image, [[5, 5, 60, 80]])
  expected = metadata.calibration.probabilities(
    person.scores, person.covariances, person.bbox
  )
  np.testing.assert_array_equal(person.probabilities, expected)
  assert ((person.probabilities > 0) & (person.probabilities < 1)).all()
  assert (person.errors > 0).all()
  assert not caplog.text
  for options in ({"method": "argmax"}, {"flip_test": False}):
    pose = Pose.from_checkpoint(path, **options)
    (person,) = pose(image, [[5, 5, 60, 80]])
    assert person.probabilities is None
    assert "its calibration is of method=dark flip_test=True" in caplog.text
    caplog.clear()


def test_the_boxes_are_the_labels(folder, calibrated, monkeypatch):
  """Errors are shares of the boxes in the json."""
  del calibrated  # so that records are prepared
  seen = {}
  observe = calibration_fit.observe

  def spy(**fields):
    seen.update(fields)
    return observe(**fields)

  monkeypatch.setattr(calibration_fit, "observe", spy)
  done = run(folder, "--tolerance=0.75", "--method=argmax", out="b.safetensors")
  assert done.returncode == 0, done.stderr
  json_path = next((folder / "annotations").glob("*.json"))
  people = json.loads(json_path.read_text())["annotations"]
  people = [p for p in people if any(p["keypoints"][2::3])]
  people.sort(key=lambda person: (person["image_id"], person["id"]))
  np.testing.assert_array_equal(seen["bbox"], [p["bbox"] for p in people])
  np.testing.assert_array_equal(
    seen["image_ids"], [person["image_id"] for person in people]
  )
  assert np.isnan(seen["covariances"]).all()  # of argmax
  labels = np.array([p["keypoints"] for p in people]).reshape(-1, 17, 3)
  labelled = labels[..., 2] > 0
  np.testing.assert_array_equal(seen["visible"] > 0, labelled)
  # px, float32 in heatmaps.
  np.testing.assert_allclose(
    seen["truth"][labelled], labels[labelled][:, :2], atol=1e-3
  )
  fitted = checkpoint.load(folder / "b.safetensors")[1].calibration
  assert fitted.method == "argmax"


@pytest.mark.parametrize(
  ("arguments", "message"),
  [
    (["--tolerance=9"], "all of .* keypoints are within 9 of the box"),
    (["--tolerance=-1"], "tolerance is a share of the box above 0"),
  ],
)
def test_bad_tolerances_are_one_line(folder, arguments, message):
  done = run(folder, *arguments, out="other.safetensors")
  assert done.returncode == 2
  assert re.match(f"error: {message}", done.stderr)
  assert done.stderr.count("\n") == 1
  assert not (folder / "other.safetensors").exists()


def test_the_file_is_refused_before_the_work(folder):
  done = run(folder, out="a.npz")
  assert done.returncode == 2
  assert "weights end with .safetensors" in done.stderr


def test_the_text_shows_the_figures():
  report = {
    "ece_before": 0.169,
    "ece_after": 0.0204,
    "brier_before": 0.198,
    "brier_after": 0.164,
    "error_coverage": 0.4988,
    "keypoints": 11200,
    "within": 0.6596,
  }
  fitted = Calibration("dark", True, 0.05, (), (), report)
  assert calibrate.describe(fitted).splitlines() == [
    "11200 keypoints, 66.0% of them within 0.05 of the box",
    "on images that were not fitted:",
    "                            score  calibrated",
    "  calibration error (ECE)   0.169       0.020",
    "  Brier                     0.198       0.164",
    "  49.9% of the keypoints are nearer than the median error",
  ]
