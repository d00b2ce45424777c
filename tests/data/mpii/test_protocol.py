"""MPII from label file to PCKh: 2,958 real people, a real network's keypoints.

The label file in HRNet's form is made from the people of valid.h5, whose centre
and scale had the crop's rule applied already.
"""

import json

import metrics_reference
import numpy as np
import pytest

from darkjax import skeletons
from darkjax.data.mpii import convert
from darkjax.evaluate import scores

# Of the stacked hourglass's predictions, computed by others with these labels;
# parts were printed with two decimals.
KNOWN_PARTS = {
  "Head": 95.94, "Shoulder": 94.68, "Elbow": 88.53, "Wrist": 83.38,
  "Hip": 87.48, "Knee": 83.09, "Ankle": 79.05,
}  # fmt: skip
KNOWN_MEANS = {"0.5": 88.035, "0.1": 28.647}


def label_file(people, labels) -> list[dict]:
  """HRNet's json: coordinates from 1, centre and scale before the rule.

  The rule is c_y + 15 s and then 1.25 s, so the way back is s / 1.25 and
  c_y - 15 of that.
  """
  scales = people["scale"][:] / 1.25
  centers = people["center"][:] - np.outer(scales, [0.0, 15.0])
  points = labels["pos_gt_src"].transpose(2, 0, 1)
  visible = 1 - labels["jnt_missing"].T
  return [
    {
      "image": f"{number}.jpg",
      "center": centers[number].tolist(),
      "scale": float(scales[number]),
      "joints": points[number].tolist(),
      "joints_vis": visible[number].tolist(),
    }
    for number in range(len(scales))
  ]


@pytest.fixture(scope="module")
def files(test_data):
  h5py = pytest.importorskip("h5py")
  scipy_io = pytest.importorskip("scipy.io")
  folder = test_data / "mpii"
  labels = scipy_io.loadmat(folder / "detections_our_format.mat")
  with h5py.File(folder / "valid_predictions_hourglass.h5") as file:
    hourglass = file["preds"][:].astype(np.float64)
  with h5py.File(folder / "valid.h5") as file:
    people = label_file(file, labels)
  other = labels["pos_pred_src"].transpose(2, 0, 1)
  return folder, people, {"hourglass": hourglass, "other": other}, labels


@pytest.fixture(scope="module")
def metrics(files, tmp_path_factory):
  """Scores as the command gets them from the converted json."""
  folder, people, predicted, _ = files
  root = tmp_path_factory.mktemp("mpii")
  (root / "valid.json").write_text(json.dumps(people))
  content = convert.to_coco(
    root / "valid.json", headboxes=folder / "detections_our_format.mat"
  )
  (root / "coco.json").write_text(json.dumps(content))
  annotations = content["annotations"]
  truth = np.reshape([p["keypoints"] for p in annotations], (-1, 16, 3))
  found = scores.DatasetPredictions(
    image_ids=np.array([p["image_id"] for p in annotations]),
    annotation_ids=np.array([p["id"] for p in annotations]),
    box_scores=np.ones(len(annotations)),
    box_areas=np.prod([p["bbox"][2:] for p in annotations], -1),
    truth=truth[..., :2],
    visible=truth[..., 2] > 0,
    keypoint_scores=np.ones(truth.shape[:2]),
    # These files count pixels from 1, what darkjax finds from 0.
    keypoints={name: points - 1 for name, points in predicted.items()},
    covariances={},
  )
  return scores.score(found, root / "coco.json", skeletons.MPII)


def test_the_hourglass_gets_the_known_numbers(metrics):
  def pckh(name):
    return metrics[f"hourglass/PCKh@{name}/gt_boxes"]

  assert {t: round(pckh(t), 3) for t in KNOWN_MEANS} == KNOWN_MEANS
  parts = {part: round(pckh(f"0.5/{part}"), 2) for part in KNOWN_PARTS}
  assert parts == KNOWN_PARTS
  assert pckh("0.11") > pckh("0.1")  # the one that others print as 0.1


@pytest.mark.parametrize("model", ["hourglass", "other"])
@pytest.mark.parametrize("threshold", [0.5, 0.1, 0.11])
def test_every_column_equals_a_loop_to_three_decimals(
  files, metrics, model, threshold
):
  """The loop reads the original files, and knows no darkjax."""
  _, _, predicted, labels = files
  corners = labels["headboxes_src"].transpose(2, 0, 1)
  heads = [0.6 * float(np.hypot(*(high - low))) for low, high in corners]
  want = metrics_reference.mpii_pckh(
    predicted[model].tolist(),
    labels["pos_gt_src"].transpose(2, 0, 1).tolist(),
    (1 - labels["jnt_missing"].T).tolist(),
    heads,
    threshold,
  )
  start = f"{model}/PCKh@{threshold:g}"
  got = {part: metrics[f"{start}/{part}/gt_boxes"] for part in KNOWN_PARTS}
  got["Mean"] = metrics[f"{start}/gt_boxes"]
  assert {part: round(v, 3) for part, v in got.items()} == {
    part: round(v, 3) for part, v in want.items()
  }
