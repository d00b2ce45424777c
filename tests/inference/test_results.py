"""Forms of `People`: json, pandas, supervision and files."""

import csv
import json
import sys
import types

import numpy as np
import PIL.Image
import pytest
from some_people import CALIBRATION, IMAGE, make_people, make_person

from darkjax.inference import results
from darkjax.inference.people import People


def test_json_holds_everything():
  people = make_people(2, calibration=CALIBRATION, track_id=5, box_score=0.25)
  content = json.loads(people.to_json())
  assert content["keypoint_names"] == ["red", "green", "blue"]
  for record, person in zip(content["people"], people, strict=True):
    assert record["box"] == person.bbox.tolist()
    assert record["box_score"] == 0.25
    assert record["track_id"] == 5
    for name, expected in (
      ("keypoints", person.keypoints_image),
      ("scores", person.scores),
      ("covariances", person.covariances),
      ("probabilities", person.probabilities),
      ("errors", person.errors),
    ):
      # The digits of float32, and null for nan.
      given = np.array(record[name], np.float32)
      np.testing.assert_array_equal(given, expected)
  assert '"scores": [0.9, 0.1, 0.5]' in people.to_json()
  assert "NaN" not in people.to_json()


def test_json_of_nobody_and_without_calibration():
  assert json.loads(make_people(0).to_json())["people"] == []
  (record,) = json.loads(make_people(1).to_json())["people"]
  assert record["track_id"] is None
  assert not {"probabilities", "errors"} & set(record)


def test_pandas_has_a_row_per_keypoint():
  pytest.importorskip("pandas")
  people = make_people(2, calibration=CALIBRATION)
  frame = people.to_pandas()
  assert tuple(frame.columns) == results.TABLE_COLUMNS
  assert frame["person"].tolist() == [0, 0, 0, 1, 1, 1]
  assert frame["keypoint"].tolist() == ["red", "green", "blue"] * 2
  assert frame["track_id"].isna().all()
  xy = frame[["x", "y"]].to_numpy().reshape(2, 3, 2)
  np.testing.assert_array_equal(xy, people.keypoints)
  for column, expected in (
    ("score", people.scores),
    ("var_x", people.covariances[..., 0, 0]),
    ("cov_xy", people.covariances[..., 0, 1]),
    ("var_y", people.covariances[..., 1, 1]),
    ("probability", people.probabilities),
    ("error", people.errors),
    ("box_score", np.ones((2, 3))),
    ("box_x", np.repeat(people.boxes[:, :1], 3, 1)),
    ("box_height", np.repeat(people.boxes[:, 3:], 3, 1)),
  ):
    values = frame[column].to_numpy().reshape(2, 3)
    np.testing.assert_array_equal(values, expected, err_msg=column)


def test_pandas_of_nobody_has_the_same_columns_and_types():
  pytest.importorskip("pandas")
  nobody = make_people(0).to_pandas()
  assert len(nobody) == 0
  tracked = make_people(1, track_id=3).to_pandas()
  assert nobody.dtypes.equals(tracked.dtypes)
  assert tracked["track_id"].tolist() == [3, 3, 3]


@pytest.mark.filterwarnings("default")  # of supervision's packages
def test_supervision_draws_the_covariances():
  sv = pytest.importorskip("supervision")
  people = make_people(2, track_id=3, box_score=0.25)
  people[0].covariances[:] = np.diag([16.0, 4.0])
  found = people.to_supervision(min_score=0.4)
  assert len(found) == 2
  np.testing.assert_array_equal(found.xy, people.keypoints)
  np.testing.assert_array_equal(found.keypoint_confidence, people.scores)
  np.testing.assert_array_equal(found.detection_confidence, [0.25, 0.25])
  np.testing.assert_array_equal(found.visible, [[True, False, True]] * 2)
  np.testing.assert_array_equal(found.data["covariance"], people.covariances)
  np.testing.assert_array_equal(found.data["xyxy"][1], [2, 2, 32, 22])
  np.testing.assert_array_equal(found.data["tracker_id"], [3, 3])
  # A row is a person with its data.
  np.testing.assert_array_equal(
    found[1].data["covariance"], people.covariances[1:]
  )
  one = People([make_person()], IMAGE)
  one[0].keypoints_image[:] = [[20, 20], [0, 0], [50, 35]]
  one[0].covariances[:] = np.diag([16.0, 4.0])
  annotator = sv.VertexEllipseAreaAnnotator(
    sigma=1.0, color=sv.Color.WHITE, opacity=1.0
  )
  drawn = annotator.annotate(IMAGE.copy(), one.to_supervision())[..., 0] > 0
  # Half axes of 4 px along x and 2 along y, around (20, 20).
  assert drawn[20, 17:24].all()
  assert not drawn[20, [14, 26]].any()
  assert drawn[19:22, 20].all()
  assert not drawn[[16, 24], 20].any()


@pytest.mark.filterwarnings("default")
def test_supervision_takes_nobody():
  pytest.importorskip("supervision")
  found = make_people(0).to_supervision()
  assert found.xy.shape == (0, 3, 2)
  assert found.data["covariance"].shape == (0, 3, 2, 2)


@pytest.mark.parametrize(
  ("module", "method"),
  [("pandas", "to_pandas"), ("supervision", "to_supervision")],
)
def test_a_missing_extra_is_named(module, method, monkeypatch):
  monkeypatch.setitem(sys.modules, module, None)
  message = rf"{method}\(\) needs {module}: pip install 'darkjax\[results\]'"
  with pytest.raises(ImportError, match=message):
    getattr(make_people(1), method)()


def test_an_old_supervision_is_named(monkeypatch):
  import dataclasses

  old = types.ModuleType("supervision")
  old.__version__ = "0.28.0"
  old.KeyPoints = dataclasses.make_dataclass("KeyPoints", ["xy", "confidence"])
  monkeypatch.setitem(sys.modules, "supervision", old)
  with pytest.raises(ImportError, match=r"0\.29 or later, got 0\.28\.0"):
    make_people(1).to_supervision()


def test_files_are_written_by_their_ending(tmp_path):
  people = make_people(2)
  people.save(tmp_path / "new" / "a.json")
  assert (tmp_path / "new" / "a.json").read_text() == people.to_json()
  people.save(tmp_path / "a.csv")
  with (tmp_path / "a.csv").open(newline="") as file:
    lines = list(csv.DictReader(file))
  assert len(lines) == 6
  assert tuple(lines[0]) == results.TABLE_COLUMNS
  # Six digits, and nothing for nan.
  assert lines[0]["x"] == f"{people[0].keypoints_image[0, 0]:.6g}"
  assert lines[0]["score"] == "0.9"
  assert lines[1]["var_x"] == lines[1]["probability"] == ""
  assert lines[5]["person"] == "1"
  for name, form in (("a.png", "PNG"), ("b.JPG", "JPEG")):
    people.save(str(tmp_path / name), min_score=2.0)
    with PIL.Image.open(tmp_path / name) as picture:
      assert picture.format == form
      assert picture.size == (60, 40)
      assert not np.asarray(picture).any()  # nothing is drawn
  people.save(tmp_path / "c.png")
  with PIL.Image.open(tmp_path / "c.png") as picture:
    np.testing.assert_array_equal(np.asarray(picture), people.plot())


@pytest.mark.parametrize(
  ("name", "options"),
  [("a.txt", {}), ("a", {}), ("a.json", {"min_score": 1})],
)
def test_other_endings_are_refused(name, options, tmp_path):
  with pytest.raises(ValueError, match=r"saved as \.json, \.csv, .*got .*a"):
    make_people(1).save(tmp_path / name, **options)
  assert not list(tmp_path.iterdir())
