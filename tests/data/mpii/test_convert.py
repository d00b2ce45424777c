"""MPII labels to COCO format: real json, a hand-made .mat, the real boxes."""

import json

import numpy as np
import pytest

from darkjax import geometry, skeletons
from darkjax.data.coco import reader
from darkjax.data.mpii import convert
from darkjax.metrics import pck

scipy_io = pytest.importorskip("scipy.io")


@pytest.fixture(scope="module")
def folder(test_data):
  """Real labels of MPII."""
  return test_data / "mpii"


def _person(**fields):
  """A person of HRNet's json: right ankle at (11, 21) from 1, no left one."""
  joints = [[11.0 + 10 * k, 21.0] for k in range(16)]
  seen = [1] * 16
  joints[5], seen[5] = [-1.0, -1.0], 0
  person = {
    "image": "a.jpg",
    "center": [101.0, 201.0],
    "scale": 2.0,
    "joints": joints,
    "joints_vis": seen,
  }
  return {**person, **fields}


def _write(path, people):
  path.write_text(json.dumps(people))
  return path


def _struct(**fields):
  """A 1x1 Matlab struct."""
  struct = np.empty((1, 1), [(name, "O") for name in fields])
  struct[0, 0] = tuple(fields.values())
  return struct


def _structs(rows):
  """A 1xN Matlab struct array."""
  array = np.empty((1, len(rows)), [(name, "O") for name in rows[0]])
  for i, row in enumerate(rows):
    array[0, i] = tuple(row.values())
  return array


HEAD = {"x1": 41.0, "y1": 51.0, "x2": 71.0, "y2": 91.0}
POINTS = (
  {"x": 11.0, "y": 21.0, "id": 0, "is_visible": 1},
  {"x": 31.0, "y": 41.0, "id": 15, "is_visible": "0"},
  {"x": 51.0, "y": 61.0, "id": 9, "is_visible": []},
)


def _rect(*points, place=(101.0, 201.0), **fields):
  """A labelled person of the .mat; keyword arguments replace its fields."""
  x, y = place
  rect = {
    **HEAD,
    "annopoints": _struct(point=_structs(points or POINTS)),
    "scale": 2.0,
    "objpos": _struct(x=x, y=y),
  }
  return {**rect, **fields}


def _release(path, images):
  """A .mat of images (name, people, whether of the training set)."""
  rows = [
    {"image": _struct(name=name), "annorect": _structs(rects)}
    for name, rects, _ in images
  ]
  train = [[float(train) for *_, train in images]]
  release = _struct(annolist=_structs(rows), img_train=train)
  scipy_io.savemat(path, {"RELEASE": release})
  return path


def _official_mat(path):
  """Two training images and a test image, as in MPII's release."""
  labelled = _rect()
  rects = [labelled, _rect(annopoints=[]), _rect(scale=[], objpos=[])]
  return _release(
    path,
    [
      ("a.jpg", rects, True),
      ("test.jpg", [labelled], False),
      ("b.jpg", [labelled], True),
    ],
  )


def test_coordinates_count_from_0(tmp_path):
  content = convert.to_coco(_write(tmp_path / "valid.json", [_person()]))
  (person,) = content["annotations"]
  keypoints = np.reshape(person["keypoints"], (16, 3))
  assert keypoints[0].tolist() == [10.0, 20.0, 2.0]
  assert keypoints[5].tolist() == [0.0, 0.0, 0.0]
  assert person["num_keypoints"] == 15
  # Center (100, 200 + 15 · 2) from 0, side 200 · 2.
  assert person["bbox"] == [-100.0, 30.0, 400.0, 400.0]
  assert (person["center"], person["scale"]) == ([101.0, 201.0], 2.0)
  assert "headbox" not in person


def test_area_is_a_share_of_the_grown_box_of_the_labels(tmp_path):
  """150 by 0 px of labels, 0.05 · 400 px on every side."""
  content = convert.to_coco(_write(tmp_path / "valid.json", [_person()]))
  (person,) = content["annotations"]
  assert person["area"] == pytest.approx(0.53 * 190 * 40, abs=1e-9)


def test_people_share_images_and_lost_ones_are_counted(tmp_path):
  people = [
    _person(image="b.jpg"),
    _person(center=[-1.0, -1.0]),
    _person(scale=-1.0),
    _person(),
    _person(image="b.jpg", center=[5.0, 5.0]),
  ]
  content = convert.to_coco(_write(tmp_path / "valid.json", people))
  assert [p["image_id"] for p in content["annotations"]] == [1, 2, 1]
  assert [p["id"] for p in content["annotations"]] == [1, 2, 3]
  assert [i["file_name"] for i in content["images"]] == ["b.jpg", "a.jpg"]
  assert content["info"]["left_out_without_center"] == 2


def test_real_people_get_the_boxes_others_computed(folder, tmp_path):
  """valid.h5 holds center and 1.25 scale after the rule, from 1."""
  h5py = pytest.importorskip("h5py")
  path = tmp_path / "mpii.json"
  content = convert.to_coco(folder / "annotations_5_people.json")
  path.write_text(json.dumps(content))
  annotations = reader.read_annotations(path)
  assert annotations.skeleton == skeletons.MPII
  boxes = [person["bbox"] for i in annotations.images for person in i["people"]]
  center, scale = geometry.box_to_center_scale(
    np.array(boxes), crop_size=(256, 256), alignment="hrnet"
  )
  with h5py.File(folder / "valid.h5") as file:
    expected_center, expected_scale = file["center"][:5], file["scale"][:5]
  # The boxes pass through float32: 1e-4 px at 1,000 px.
  np.testing.assert_allclose(center, expected_center - 1, atol=2e-4)
  np.testing.assert_allclose(
    scale, 200 * expected_scale[:, None] * [[1, 1]], atol=2e-4
  )


def test_real_labels_equal_the_evaluation_file(folder):
  content = convert.to_coco(folder / "annotations_5_people.json")
  labels = scipy_io.loadmat(folder / "detections_our_format.mat")
  for person, truth, missing in zip(
    content["annotations"],
    labels["pos_gt_src"].transpose(2, 0, 1),
    labels["jnt_missing"].T,
    strict=False,
  ):
    keypoints = np.reshape(person["keypoints"], (16, 3))
    labelled = keypoints[:, 2] > 0
    np.testing.assert_array_equal(labelled, missing == 0)
    # The json has four decimals.
    np.testing.assert_allclose(
      keypoints[labelled, :2] + 1, truth[labelled], atol=1e-4
    )


def test_headboxes_join_by_order(folder, tmp_path):
  labels = scipy_io.loadmat(folder / "detections_our_format.mat")
  corners = labels["headboxes_src"][..., :5]
  scipy_io.savemat(tmp_path / "gt_valid.mat", {"headboxes_src": corners})
  content = convert.to_coco(
    folder / "annotations_5_people.json", headboxes=tmp_path / "gt_valid.mat"
  )
  path = _write(tmp_path / "mpii.json", content)
  sizes = pck.head_size(convert.read_headboxes(path, [3, 1]))
  expected = 0.6 * np.linalg.norm(corners[1] - corners[0], axis=0)
  np.testing.assert_allclose(sizes, expected[[2, 0]], atol=1e-9)
  assert content["annotations"][0]["headbox"][0] == corners[0, 0, 0] - 1


def test_headboxes_of_another_split_are_refused(folder):
  with pytest.raises(ValueError, match=r"person of the json, 5, got 2958"):
    convert.to_coco(
      folder / "annotations_5_people.json",
      headboxes=folder / "detections_our_format.mat",
    )


def test_official_mat(tmp_path):
  content = convert.to_coco(_official_mat(tmp_path / "release.mat"))
  assert [i["file_name"] for i in content["images"]] == ["a.jpg", "b.jpg"]
  assert content["info"]["left_out_without_center"] == 1
  first, second = content["annotations"]
  assert {**first, "id": 2, "image_id": 2} == second
  keypoints = np.reshape(first["keypoints"], (16, 3))
  assert keypoints[0].tolist() == [10.0, 20.0, 2.0]
  assert keypoints[15].tolist() == [30.0, 40.0, 1.0]  # hidden
  assert keypoints[9].tolist() == [50.0, 60.0, 2.0]  # no flag
  assert first["num_keypoints"] == 3
  assert first["bbox"] == [-100.0, 30.0, 400.0, 400.0]
  assert first["headbox"] == [40.0, 50.0, 70.0, 90.0]


def test_other_files_are_refused(tmp_path):
  with pytest.raises(FileNotFoundError, match=r"no MPII label file .*x\.json"):
    convert.to_coco(tmp_path / "x.json")
  with pytest.raises(ValueError, match="COCO-format file needs no conversion"):
    convert.to_coco(_write(tmp_path / "coco.json", {"images": []}))
  unlabelled = {"image": "a.jpg", "center": [1, 1], "scale": 1}
  with pytest.raises(
    ValueError, match=r"person 1 .*\['joints', 'joints_vis'\]"
  ):
    convert.to_coco(_write(tmp_path / "test.json", [_person(), unlabelled]))
  (tmp_path / "cut.json").write_text("[{")
  with pytest.raises(ValueError, match=r"cut\.json: not valid json"):
    convert.to_coco(tmp_path / "cut.json")
  scipy_io.savemat(tmp_path / "other.mat", {"numbers": [1.0]})
  with pytest.raises(ValueError, match=r"RELEASE structure, got \['numbers'\]"):
    convert.to_coco(tmp_path / "other.mat")
  people = _write(tmp_path / "valid.json", [_person()])
  with pytest.raises(ValueError, match=r"headboxes_src of shape \(2, 2, N\)"):
    convert.to_coco(people, headboxes=tmp_path / "other.mat")


@pytest.mark.parametrize(
  ("change", "message"),
  [
    ({"center": None}, r"null: \['center'\]"),
    ({"center": [float("nan")] * 2}, "'center' of finite numbers"),
    ({"center": [1, 2, 3]}, r"'center' .* shape \(2,\)"),
    ({"scale": None}, r"null: \['scale'\]"),
    ({"scale": float("nan")}, "'scale' of finite numbers"),
    ({"scale": "x"}, "'scale' of finite numbers .* got x"),
    ({"scale": 10**400}, "'scale' of finite numbers"),
    ({"joints": [[1, 2]] * 15 + [[1]]}, "'joints' of finite numbers"),
    ({"joints": [[float("nan"), 2]] * 16}, "'joints' of finite numbers"),
    ({"joints_vis": [1] * 15}, r"'joints_vis' .* shape \(16,\)"),
    ({"joints_vis": [2] + [1] * 15}, r"0 \(not labelled\) or 1, got \[1.0, 2"),
    ({"image": None}, r"null: \['image'\]"),
  ],
)
def test_bad_people_of_the_json_are_named(tmp_path, change, message):
  people = [_person(), _person(**change)]
  path = _write(tmp_path / "valid.json", people)
  with pytest.raises(ValueError, match=rf"valid\.json: person 1 .*{message}"):
    convert.to_coco(path)


@pytest.mark.parametrize("person", [1, None, "x", [1]])
def test_people_of_the_json_are_dictionaries(tmp_path, person):
  path = _write(tmp_path / "valid.json", [_person(), person])
  with pytest.raises(ValueError, match="person 1 expected a dictionary"):
    convert.to_coco(path)


@pytest.mark.parametrize(
  "people", [[], [_person(center=[-1.0, -1.0])], [_person(scale=-1.0)]]
)
def test_files_of_nobody_are_refused(tmp_path, people):
  path = _write(tmp_path / "valid.json", people)
  message = rf"valid\.json: .* got none among {len(people)}"
  with pytest.raises(ValueError, match=message):
    convert.to_coco(path)


@pytest.mark.parametrize("absent", [HEAD, ("y2",)])
def test_people_of_the_mat_may_lack_the_head_rectangle(tmp_path, absent):
  rects = [_rect(**{name: [] for name in absent}), _rect()]
  path = _release(tmp_path / "r.mat", [("a.jpg", rects, True)] * 2)
  boxes = [p.get("headbox") for p in convert.to_coco(path)["annotations"]]
  assert boxes == [None, [40.0, 50.0, 70.0, 90.0]] * 2


@pytest.mark.parametrize(
  ("rect", "message"),
  [
    (_rect({**POINTS[0], "id": 16}), r"points in 0\.\.15, got 16"),
    (_rect({**POINTS[0], "id": -1}), r"points in 0\.\.15, got -1"),
    (_rect({**POINTS[0], "id": []}), r"points in 0\.\.15, got -1"),
    (_rect({**POINTS[0], "x": float("nan")}), "keypoints of finite numbers"),
    (_rect({**POINTS[0], "x": "left"}), "left"),
    (_rect(place=(float("nan"), 1.0)), "center of finite numbers"),
    (_rect(scale=float("inf")), "scale of finite numbers"),
    (_rect(scale="big"), "big"),
  ],
)
def test_bad_people_of_the_mat_are_named(tmp_path, rect, message):
  images = [("a.jpg", [_rect()], True), ("b.jpg", [rect], True)]
  path = _release(tmp_path / "r.mat", images)
  with pytest.raises(
    ValueError, match=rf"r\.mat: person 1 \(in b\.jpg\).*{message}"
  ):
    convert.to_coco(path)


def test_unreadable_mat_files_are_named(tmp_path):
  people = _write(tmp_path / "valid.json", [_person()])
  whole = _official_mat(tmp_path / "whole.mat").read_bytes()
  path = tmp_path / "bad.mat"
  for data in (b"", b"garbage" * 50, whole[: len(whole) // 2]):
    path.write_bytes(data)
    for options in ({}, {"headboxes": path}):
      with pytest.raises(ValueError, match=r"bad\.mat is not a Matlab file"):
        convert.to_coco(people if options else path, **options)


def test_missing_headboxes_are_named(tmp_path):
  content = convert.to_coco(_write(tmp_path / "valid.json", [_person()]))
  path = _write(tmp_path / "mpii.json", content)
  with pytest.raises(ValueError, match=r"1 have none, among them ids \[1\]"):
    convert.read_headboxes(path, [1])
