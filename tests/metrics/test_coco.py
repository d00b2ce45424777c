"""Rescoring, results and AP: hand-made cases, slow loops, real files."""

import copy
import json
import subprocess
import sys

import metrics_reference
import numpy as np
import pytest

from darkjax import skeletons
from darkjax.metrics import coco

K = 5
SIGMAS = (0.05,) * K
# pycocotools divides by count + 2.2e-16: full marks are off by less than 1e-9.
FULL = pytest.approx(100.0, abs=1e-9)
MEDIUM, LARGE = 50.0**2, 200.0**2  # areas on both sides of 96²


def _person(image_id, *, area=LARGE, at=(0.0, 0.0), **fields):
  """An annotation: K keypoints in a row, 20 px apart."""
  points = np.array(at) + [[20.0 * k, 0.0] for k in range(K)]
  return {
    "id": fields.pop("id", 1),
    "image_id": image_id,
    "category_id": 1,
    "keypoints": np.c_[points, np.full(K, 2.0)].ravel().tolist(),
    "num_keypoints": K,
    "area": area,
    "bbox": [*at, 80.0, 10.0],
    "iscrowd": 0,
    **fields,
  }


def _file(people, image_ids=(1, 2)):
  for number, person in enumerate(people, start=1):
    person["id"] = number
  return {
    "images": [{"id": i, "width": 640, "height": 480} for i in image_ids],
    "annotations": people,
    "categories": [{"id": 1, "name": "person", "keypoints": list("abcde")}],
  }


def _result(person, score=1.0, moved=0.0):
  """A result at the person's keypoints, the last `moved` px downwards."""
  keypoints = list(person["keypoints"])
  keypoints[-2] += moved
  return {
    "image_id": person["image_id"],
    "category_id": 1,
    "keypoints": keypoints,
    "score": score,
  }


def _score(people, results, **options):
  options.setdefault("sigmas", SIGMAS)
  return coco.average_precision(_file(people), results, **options)


def _two_people():
  return [_person(1), _person(2, area=MEDIUM, at=(100.0, 50.0))]


def _predictions(rng, count, images=3, num_keypoints=K):
  """Clusters of near duplicates in a few images."""
  poses = rng.uniform(0, 300, (4, num_keypoints, 2))
  noise = rng.normal(0, 2, (count, num_keypoints, 2))
  return coco.Predictions(
    image_ids=rng.integers(7, 7 + images, count),
    keypoints=(poses[rng.integers(0, 4, count)] + noise).astype(np.float32),
    keypoint_scores=rng.uniform(0, 1, (count, num_keypoints)),
    box_scores=rng.uniform(0, 1, count),
    box_areas=rng.uniform(4_000, 9_000, count),
  )


def test_rescore_equals_loop(rng):
  boxes, keypoints = rng.uniform(0, 1, 20), rng.uniform(-0.2, 1, (20, 6))
  keypoints[3] = 0.2  # not above the threshold
  got = coco.rescore(boxes, keypoints)
  want = [
    metrics_reference.rescore(box, scores, 0.2)
    for box, scores in zip(boxes, keypoints, strict=True)
  ]
  # float64 sums of 6 terms in another order.
  np.testing.assert_allclose(got, want, atol=1e-15)
  assert got[3] == 0


@pytest.mark.parametrize("nms", ["hard", "soft", "none"])
def test_results_equal_loop(rng, nms):
  people = _predictions(rng, 60)
  got = coco.to_results(people, 1, sigmas=SIGMAS, nms=nms)
  want = []
  for image_id in (7, 8, 9):
    rows = np.flatnonzero(people.image_ids == image_id)
    scores = [
      metrics_reference.rescore(
        people.box_scores[i], people.keypoint_scores[i], 0.2
      )
      for i in rows
    ]
    poses = people.keypoints[rows].astype(np.float64)
    arguments = (poses, scores, people.box_areas[rows], SIGMAS, 0.9)
    kept = {
      "hard": lambda a: metrics_reference.oks_nms(*a),
      "soft": lambda a: metrics_reference.soft_oks_nms(*a, 20),
      "none": lambda a: range(len(a[0])),
    }[nms](arguments)
    want += [
      (image_id, scores[i], poses[i].tolist())
      for i in sorted(kept, key=lambda i: -scores[i])
    ]
  assert [r["image_id"] for r in got] == [image for image, _, _ in want]
  np.testing.assert_allclose(
    [r["score"] for r in got], [score for _, score, _ in want], atol=1e-15
  )
  got_points = np.reshape([r["keypoints"] for r in got], (-1, K, 3))[..., :2]
  np.testing.assert_array_equal(got_points, [points for _, _, points in want])
  assert nms == "none" or 3 < len(got) < 60  # something was dropped


def test_results_do_not_depend_on_the_order_of_the_people(rng):
  people = _predictions(rng, 40)
  order = rng.permutation(40)
  shuffled = coco.Predictions(
    **{name: value[order] for name, value in vars(people).items()}
  )
  results = coco.to_results(people, 1, sigmas=SIGMAS)
  assert coco.to_results(shuffled, 1, sigmas=SIGMAS) == results


def test_results_survive_json(rng, tmp_path):
  results = coco.to_results(_predictions(rng, 9), 1, sigmas=SIGMAS)
  coco.write_results(tmp_path / "new" / "results.json", results)
  read = json.loads((tmp_path / "new" / "results.json").read_text())
  assert read == results
  assert set(read[0]) == {"image_id", "category_id", "keypoints", "score"}
  assert len(read[0]["keypoints"]) == 3 * K


def test_no_predictions_give_no_results(rng):
  assert coco.to_results(_predictions(rng, 0), 1, sigmas=SIGMAS) == []


def test_predictions_refuse_what_is_not_finite(rng):
  fields = vars(_predictions(rng, 4))
  fields["keypoints"][2, 0, 1] = np.nan
  image = fields["image_ids"][2]
  with pytest.raises(
    ValueError, match=rf"keypoints, first in images \[{image}"
  ):
    coco.Predictions(**fields)


def test_predictions_refuse_shapes_that_do_not_fit(rng):
  fields = vars(_predictions(rng, 4))
  with pytest.raises(ValueError, match="N=4 people with K=5"):
    coco.Predictions(**{**fields, "box_areas": np.ones(3)})


def test_results_refuse_an_unknown_nms(rng):
  with pytest.raises(ValueError, match="'hard', 'soft', 'none'"):
    coco.to_results(_predictions(rng, 2), 1, sigmas=SIGMAS, nms="oks")


def test_perfect_results_score_100():
  people = _two_people()
  metrics = _score(people, [_result(p) for p in people])
  assert metrics == {f"{n}/gt_boxes": FULL for n in coco.METRIC_NAMES}


def test_names_carry_the_box_source():
  people = _two_people()
  metrics = _score(people, [_result(people[0])], box_source="detections")
  assert list(metrics)[:2] == ["AP/detections", "AP50/detections"]


@pytest.mark.parametrize(
  ("oks", "passed"),
  [(0.82, 7), (0.88, 8), (0.96, 10)],  # of 0.50, 0.55, ... 0.95
)
def test_one_keypoint_moved_by_a_known_oks(oks, passed):
  """OKS = (4 + e) / 5 with e = exp(-d² / 2 s² k²), s = 200 and k = 0.1."""
  e = 5 * oks - 4
  people = [_person(1)]
  moved = 200.0 * 0.1 * np.sqrt(-2 * np.log(e))
  metrics = _score(people, [_result(people[0], moved=moved)])
  assert metrics["AP/gt_boxes"] == pytest.approx(10 * passed, abs=1e-9)
  assert metrics["AR/gt_boxes"] == pytest.approx(10 * passed, abs=1e-9)
  assert metrics["AP75/gt_boxes"] == FULL


def test_duplicates_cost_precision_and_nms_removes_them():
  """Without NMS: right, wrong, right. Precision is 1 up to recall 1/2 (51 of
  COCO's 101 recall points), then 2/3.
  """
  people = [_person(1), _person(1, at=(300.0, 200.0))]
  triples = np.reshape([p["keypoints"] for p in people], (2, K, 3))[[0, 0, 1]]
  predictions = coco.Predictions(
    image_ids=np.array([1, 1, 1]),
    keypoints=triples[..., :2],
    keypoint_scores=np.ones((3, K)),
    box_scores=np.array([0.9, 0.8, 0.7]),
    box_areas=np.full(3, LARGE),
  )
  for nms, expected in (
    ("none", 100 * (51 + 50 * 2 / 3) / 101),
    ("hard", 100.0),
  ):
    results = coco.to_results(predictions, 1, sigmas=SIGMAS, nms=nms)
    metrics = _score(people, results)
    assert metrics["AP/gt_boxes"] == pytest.approx(expected, abs=1e-9)


def test_a_person_in_an_empty_image_is_a_false_alarm():
  """It outscores the only real person: precision is 1/2 everywhere."""
  people = [_person(1)]
  ghost = {**_result(people[0], score=2.0), "image_id": 2}
  assert _score(people, [_result(people[0])])["AP/gt_boxes"] == FULL
  metrics = _score(people, [_result(people[0]), ghost])
  assert metrics["AP/gt_boxes"] == pytest.approx(50.0, abs=1e-9)
  assert metrics["AR/gt_boxes"] == FULL


@pytest.mark.parametrize("crowd", [True, False])
def test_results_in_a_crowd_are_forgiven(crowd):
  """Inside the crowd's box they count as nothing, else as false alarms."""
  person = _person(1)
  region = _person(
    1,
    at=(300.0, 300.0),
    iscrowd=1,
    num_keypoints=0,
    keypoints=[0] * 3 * K,
    bbox=[280.0, 280.0, 200.0, 100.0],
  )
  inside = _result(_person(1, at=(310.0, 310.0)), score=2.0)
  people = [person, region] if crowd else [person]
  metrics = _score(people, [_result(person), inside, inside])
  expected = 100.0 if crowd else 100 / 3
  assert metrics["AP/gt_boxes"] == pytest.approx(expected, abs=1e-9)


def test_people_without_keypoints_are_not_missed():
  unlabelled = _person(2, num_keypoints=0, keypoints=[0] * 3 * K)
  people = [_person(1), unlabelled]
  assert _score(people, [_result(people[0])])["AR/gt_boxes"] == FULL


def test_no_results_score_0_and_no_people_score_minus_1():
  assert set(_score(_two_people(), []).values()) == {0.0}
  assert set(_score([], []).values()) == {-1.0}


def test_no_medium_person_gives_minus_1():
  people = [_person(1)]
  metrics = _score(people, [_result(people[0])])
  assert metrics["APM/gt_boxes"] == metrics["ARM/gt_boxes"] == -1.0
  assert metrics["APL/gt_boxes"] == FULL


@pytest.mark.parametrize("ids", [(0, 1), (5, 5), (None, None)])
def test_annotation_ids_do_not_matter(ids):
  """Plain pycocotools takes a match with id 0 for none."""
  file = _file(_two_people())
  for person, number in zip(file["annotations"], ids, strict=True):
    person["id"] = number
  results = [_result(p) for p in file["annotations"]]
  metrics = coco.average_precision(file, results, sigmas=SIGMAS)
  assert metrics["AP/gt_boxes"] == FULL


def test_num_keypoints_is_counted_where_it_is_missing():
  """Three people: all labelled, none labelled, a crowd without keypoints."""
  people = [*_two_people(), _person(2, iscrowd=1)]
  people[1]["keypoints"] = [0] * 3 * K
  del people[2]["keypoints"]
  for person in people:
    del person["num_keypoints"]
  metrics = _score(people, [_result(people[0])])
  assert metrics["AP/gt_boxes"] == FULL
  assert metrics["AR/gt_boxes"] == FULL


def test_null_is_a_missing_field():
  people = [*_two_people(), _person(2)]
  people[2]["keypoints"] = [0] * 3 * K
  for person in people:
    person |= {"num_keypoints": None, "iscrowd": None}
  metrics = _score(people, [_result(person) for person in people[:2]])
  assert metrics["AR/gt_boxes"] == FULL


def test_image_ids_choose_the_images():
  people = _two_people()
  metrics = _score(people, [_result(people[1])], image_ids=[2])
  assert metrics["AR/gt_boxes"] == FULL
  assert _score(people, [_result(people[1])])["AR/gt_boxes"] == 50.0


def test_other_categories_are_left_alone():
  file = _file(_two_people())
  file["categories"].append({"id": 18, "name": "dog"})
  file["annotations"].append({"id": 3, "image_id": 1, "category_id": 18})
  results = [_result(p) for p in file["annotations"][:2]]
  metrics = coco.average_precision(file, results, sigmas=SIGMAS)
  assert metrics["AP/gt_boxes"] == FULL


def test_categories_of_the_same_keypoints_are_scored_as_one():
  people = _two_people()
  people[1]["category_id"] = 7
  content = _file(people)
  content["categories"][0]["id"] = 4
  people[0]["category_id"] = 4
  content["categories"].append({**content["categories"][0], "id": 7})
  found = [_result(person) | {"category_id": 4} for person in people]
  scores = coco.average_precision(content, found, sigmas=SIGMAS)
  assert scores["AP/gt_boxes"] == scores["AR/gt_boxes"] == FULL
  found.pop()
  scores = coco.average_precision(content, found, sigmas=SIGMAS)
  assert scores["AR/gt_boxes"] == pytest.approx(50.0)


def test_of_categories_that_differ_the_named_ones_are_scored():
  people = _two_people()
  content = _file([*people, _person(1, category_id=7, keypoints=[5, 5, 2])])
  content["categories"].append({"id": 7, "name": "ball", "keypoints": ["top"]})
  found = [_result(person) for person in people]
  scores = coco.average_precision(
    content, found, sigmas=SIGMAS, category_ids=[1]
  )
  assert scores["AP/gt_boxes"] == FULL
  with pytest.raises(ValueError, match=r"categories \[8\]"):
    coco.average_precision(content, found, sigmas=SIGMAS, category_ids=[8])


def test_inputs_stay_as_they_were_and_nothing_is_printed(capsys):
  file = _file(_two_people())
  results = [_result(p) for p in file["annotations"]]
  before = copy.deepcopy((file, results))
  coco.average_precision(file, results, sigmas=SIGMAS)
  assert (file, results) == before
  assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
  ("field", "value"),
  [
    ("area", "five"),
    ("area", np.nan),
    ("bbox", []),
    ("keypoints", [None, 1, 2] * 5),
  ],
)
def test_an_annotation_without_numbers_is_named(field, value):
  people = _two_people()
  people[1][field] = value
  with pytest.raises(
    ValueError, match=r"annotation 2: .*(got 'five'|got nan|got \[\]|holds NaN)"
  ):
    _score(people, [])


@pytest.mark.parametrize(
  ("fields", "match"),
  [
    (
      {"keypoints": [np.nan] * 3 * K},
      r"'keypoints' of a result in image 1 .* 15: \[nan",
    ),
    ({"keypoints": None}, r"has no \['keypoints'\]"),
    ({"score": np.nan}, "'score' of a result in image 1 .*: nan"),
    ({"score": None}, r"has no \['score'\]"),
  ],
)
def test_results_without_numbers_are_refused(fields, match):
  people = _two_people()
  with pytest.raises(ValueError, match=match):
    _score(people, [_result(people[1]), _result(people[0]) | fields])


@pytest.mark.parametrize("sigma", [np.nan, np.inf, 0.0, -0.1])
def test_sigmas_are_positive_numbers(sigma):
  people = _two_people()
  with pytest.raises(ValueError, match="sigmas are K positive numbers"):
    _score(people, [], sigmas=[*SIGMAS[1:], sigma])


def test_sigmas_of_another_skeleton_are_refused():
  people = _two_people()
  with pytest.raises(ValueError, match=r"K=4 keypoints \(12 numbers\), got 15"):
    _score(people, [], sigmas=SIGMAS[:4])
  short = {**_result(people[0]), "keypoints": [0.0] * 6}
  with pytest.raises(ValueError, match=r"result in image 1 .* got 6"):
    _score(people, [short])


@pytest.mark.parametrize("field", ["image_id", "category_id"])
def test_results_of_another_split_are_refused(field):
  people = _two_people()
  with pytest.raises(ValueError, match=r"\[99\] \(1 in all\) are not in"):
    _score(people, [{**_result(people[0]), field: 99}])


def test_unknown_ids_are_told_from_the_files_own_where_these_are_text():
  file = _file([_person("a"), _person("b")], image_ids=("a", "b"))
  other = _result(_person("IMG_9"))
  message = r"results \['IMG_9'\] \(1 in all\).*which has \['a', 'b'\]"
  with pytest.raises(ValueError, match=message):
    coco.average_precision(file, [other], sigmas=SIGMAS)
  broken = {**_result(_person("b")), "score": "high"}
  with pytest.raises(ValueError, match="'score' of a result in image b must"):
    coco.average_precision(file, [broken], sigmas=SIGMAS)


def test_unknown_image_ids_are_refused():
  with pytest.raises(ValueError, match=r"image_ids \[99\]"):
    _score(_two_people(), [], image_ids=[1, 99])


def test_files_that_are_not_annotations_are_refused(tmp_path):
  def read(path):
    return coco.average_precision(path, [], sigmas=SIGMAS)

  with pytest.raises(FileNotFoundError, match=r"no annotation file .*a\.json"):
    read(tmp_path / "a.json")
  (tmp_path / "b.json").write_text('{"images": [')
  with pytest.raises(ValueError, match=r"b\.json: not valid json in line 1"):
    read(tmp_path / "b.json")
  for name, content, message in (
    ("c", "[]", "must hold a dictionary"),
    ("d", '{"images": []}', "has no 'annotations'"),
  ):
    (tmp_path / f"{name}.json").write_text(content)
    with pytest.raises(ValueError, match=message):
      read(tmp_path / f"{name}.json")


def test_labels_of_coco_val_score_100_against_themselves(test_data):
  path = test_data / "coco_val_gt" / "person_keypoints_val2017.json"
  people = json.loads(path.read_text())["annotations"][:600]
  images = sorted({person["image_id"] for person in people})[:-1]
  results = [_result(person) for person in people]
  metrics = coco.average_precision(
    path, results, sigmas=skeletons.COCO.sigmas, image_ids=images
  )
  # One point short: counting large people only, pycocotools lets the pose of a
  # medium neighbour (OKS above 0.5) take a large person before its own.
  assert metrics.pop("APL/gt_boxes") == pytest.approx(99.88, abs=0.01)
  assert list(metrics.values()) == [FULL] * 9


def test_real_detection_boxes(test_data):
  """Each real box gets the labels of the person it overlaps most.

  Its score is the detector's; duplicates leave by NMS, and all people remain.
  """
  folder = test_data / "coco_detections"
  boxes = json.loads((folder / "person_detections.json").read_text())
  truth = json.loads((folder / "person_keypoints.json").read_text())
  matched = [_most_overlapping(box, truth["annotations"]) for box in boxes]
  triples = np.reshape([p["keypoints"] for p in matched], (-1, 17, 3))
  predictions = coco.Predictions(
    image_ids=np.array([box["image_id"] for box in boxes]),
    keypoints=triples[..., :2],
    keypoint_scores=np.ones((len(boxes), 17)),
    box_scores=np.array([box["score"] for box in boxes]),
    box_areas=np.array([np.prod(box["bbox"][2:]) * 1.25**2 for box in boxes]),
  )
  sigmas = skeletons.COCO.sigmas
  results = coco.to_results(predictions, 1, sigmas=sigmas)
  assert len(boxes) == 118
  # NMS leaves every pose of the same labels once.
  assert len(results) == len({person["id"] for person in matched}) == 14
  metrics = coco.average_precision(
    folder / "person_keypoints.json",
    results,
    sigmas=sigmas,
    box_source="detections",
  )
  assert metrics["AR/detections"] == FULL


def _most_overlapping(box, people):
  candidates = [p for p in people if p["image_id"] == box["image_id"]]
  return max(candidates, key=lambda p: _iou(box["bbox"], p["bbox"]))


def _iou(first, second):
  (x, y, w, h), (u, v, r, s) = first, second
  across = min(x + w, u + r) - max(x, u)
  down = min(y + h, v + s) - max(y, v)
  overlap = max(across, 0) * max(down, 0)
  return overlap / (w * h + r * s - overlap)


def test_metrics_import_neither_jax_nor_tensorflow():
  code = (
    "import sys, darkjax.metrics.coco, darkjax.metrics.pck; "
    "sys.exit(' '.join({'jax', 'tensorflow'} & set(sys.modules)) or None)"
  )
  done = subprocess.run(
    [sys.executable, "-c", code], capture_output=True, text=True, check=False
  )
  assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("ids", [["b", "a", "b"], [2**70, 3, 2**70]])
def test_results_keep_ids_of_any_kind(ids):
  predictions = coco.Predictions(
    image_ids=np.array(ids),
    keypoints=np.arange(3.0)[:, None, None] * np.full((3, K, 2), 50.0),
    keypoint_scores=np.ones((3, K)),
    box_scores=np.array([0.5, 0.6, 0.7]),
    box_areas=np.full(3, 100.0),
  )
  results = coco.to_results(predictions, 1, sigmas=SIGMAS)
  order = [1, 2, 0]  # by image, then by score
  assert [r["image_id"] for r in results] == [ids[n] for n in order]
  json.dumps(results)
