"""Detected boxes: what is read, what is refused, how they are cropped."""

import json
import logging
import pathlib

import coco_folder
import numpy as np
import pytest
from coco_folder import DOLL
from conventions import make_convention

from darkjax import geometry, skeletons
from darkjax.data.coco import detections, unreadable
from darkjax.data.pipeline import batches
from darkjax.evaluate import scores

pytestmark = pytest.mark.filterwarnings("ignore:.*:DeprecationWarning")


def detection(image_id=1, **changes):
  return {
    "image_id": image_id,
    "category_id": 1,
    "bbox": [8.0, 4.5, 30.0, 50.0],
    "score": 0.9,
    **changes,
  }


def write(folder, found):
  path = folder / "detections.json"
  path.write_text(json.dumps(found))
  return path


def convention_of(skeleton, crop_size=(64, 48)):
  return make_convention(skeleton, crop_size, alignment="hrnet")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
  """Four images of 64x48 px; nobody is annotated in the second."""
  root = tmp_path_factory.mktemp("detections")
  content = coco_folder.content(num_images=4)
  del content["annotations"][1]
  coco_folder.write(root, content)
  return root


def load(folder, found, **options):
  return detections.load(
    folder / "annotations.json",
    folder / "images",
    write(folder, found),
    cache_dir=folder / "cache",
    **options,
  )


def test_boxes_come_with_their_image_and_position(folder):
  source = load(
    folder,
    [
      detection(3, score=0.5),
      detection(2, category_id=18),
      detection(2, bbox=[1.0, 2.0, 3.5, 4.0]),
    ],
  )
  assert source.box_source == "detections"
  assert source.num_images == 4  # also the one without people
  people = source.people
  assert people.image_id.tolist() == [3, 2]
  assert people.record.tolist() == [2, 1]
  assert people.annotation_id.tolist() == [0, 2]
  assert people.score.tolist() == [0.5, np.float32(0.9)]
  assert people.bbox[1].tolist() == [1.0, 2.0, 3.5, 4.0]
  assert people.image_size.tolist() == [[64, 48]] * 2
  assert not people.labelled.any()


def test_gt_boxes_are_the_labels(folder):
  arguments = folder / "annotations.json", folder / "images"
  source = detections.load(*arguments, "gt", cache_dir=folder / "cache")
  assert source.box_source == "gt_boxes"
  assert source.people.annotation_id.tolist() == [101, 103, 104]
  assert source.num_images == 3


@pytest.mark.parametrize(
  ("threshold", "kept"), [(0.0, 3), (0.25, 2), (0.26, 1)]
)
def test_scores_below_the_threshold_are_left_out(folder, threshold, kept):
  """The official code drops `score < threshold`: an equal one stays."""
  found = [detection(score=s) for s in (0.0, 0.25, 0.75)]
  source = load(folder, found, score_threshold=threshold)
  assert source.num_people == kept


def test_boxes_of_other_images_are_counted_and_left_out(folder, caplog):
  found = [detection(2), detection(77), detection(78)]
  with caplog.at_level(logging.INFO):
    source = load(folder, found)
  assert source.people.image_id.tolist() == [2]
  assert "left out: 2 in images that the labels" in caplog.text


def test_boxes_of_another_split_are_refused(folder):
  with pytest.raises(
    ValueError, match=r"none of its 2 boxes .*77 \(number\).*1 \(number\)"
  ):
    load(folder, [detection(77), detection(78)])
  with pytest.raises(ValueError, match=r"a score of at least 0\.95"):
    load(folder, [detection(1)], score_threshold=0.95)


def test_boxes_without_an_area_are_counted_and_left_out(folder, caplog):
  sizes = [(30, 50), (0, 50), (30, -1)]
  found = [detection(bbox=[1, 2, *size]) for size in sizes]
  with caplog.at_level(logging.INFO):
    source = load(folder, found)
  assert source.people.annotation_id.tolist() == [0]
  assert "2 without an area" in caplog.text


def test_a_missing_file_of_detections_is_explained(folder):
  with pytest.raises(FileNotFoundError) as error:
    detections.load(
      folder / "annotations.json", folder / "images", folder / "none.json"
    )
  for part in ("none.json", "person detector", "leoxiaobin", 'boxes="gt"'):
    assert part in str(error.value)


@pytest.mark.parametrize(
  ("found", "message"),
  [
    ({"annotations": []}, "got a dict; the boxes of annotations are boxes="),
    ([], "detections.json has no boxes"),
    ([detection(), {"image_id": 1}], r"box 1 has no \['bbox'\]"),
    ([[1, 2]], "box 0 has no .* got \\[1, 2\\]"),
    (
      [detection(), detection(bbox=[1, 2, float("nan"), 4])],
      r"box 1: 'bbox' must be four .* \[1, 2, nan",
    ),
    ([detection(), detection(bbox=[1, 2, 3])], "box 1: 'bbox' must"),
    ([detection(bbox=[0, 0, 1e30, 1e30])], "box 0: .* up to 1e9 px, got"),
    ([detection(score=1e300)], "'score' must be a finite number"),
    ([detection(bbox="wide")], "box 0: 'bbox' must .* 'wide'"),
    ([detection(score=float("inf"))], "'score' must be a finite number"),
    ([detection(score=[1.0])], r"box 0: 'score' must .* got \[1\.0\]"),
    ([detection(1.5)], "'image_id' must be an integer or a text, got 1.5"),
  ],
)
def test_malformed_detections_are_named(tmp_path, found, message):
  with pytest.raises(ValueError, match=message):
    detections.read(write(tmp_path, found), {1: {"id": 1}})


def test_a_cut_file_is_refused(tmp_path):
  path = write(tmp_path, [detection()])
  path.write_text(path.read_text()[:40])
  with pytest.raises(ValueError, match="not valid json"):
    detections.read(path, {1: {"id": 1}})


@pytest.mark.parametrize("boxes", ["gt", "detections"])
def test_detected_boxes_are_not_clipped(folder, boxes):
  """The labels' are: from -20, 60 px wide, becomes from 0 to the edge."""
  content = json.loads((folder / "annotations.json").read_text())
  wide = [-20.0, 4.5, 60.0, 80.0]
  for person in content["annotations"]:
    person["bbox"] = wide
  path = folder / "wide.json"
  path.write_text(json.dumps(content))
  found = write(folder, [detection(i, bbox=wide) for i in (1, 2, 3, 4)])
  source = detections.load(
    path,
    folder / "images",
    "gt" if boxes == "gt" else found,
    cache_dir=folder / "cache",
  )
  used = convention_of(source.skeleton)
  batch = next(batches.eval_batches(source, used, batch_size=4))
  # By hand, hrnet: from (0, 4.5) to the last pixel of 48 x 64 px, (47, 63).
  box = [0.0, 4.5, 47.0, 58.5] if boxes == "gt" else wide
  center, scale, _ = used.crop_from_box(np.array(box))
  assert batch["box_area"][0] == pytest.approx(scale.prod(), rel=1e-6)
  middle = geometry.apply_affine(
    batch["image_from_heatmap"][0].astype(np.float64), np.array([[6.0, 8.0]])
  )
  np.testing.assert_allclose(middle[0], center, atol=1e-4)  # float32 px


def test_boxes_travel_as_a_batch_without_truth(folder):
  found = [detection(2, score=0.25), detection(4), detection(4)]
  source = load(folder, found)
  used = convention_of(source.skeleton)
  (batch,) = batches.eval_batches(source, used, batch_size=4)
  assert batch["mask"].tolist() == [1, 1, 1, 0]
  assert batch["annotation_id"].tolist() == [0, 1, 2, -1]
  assert batch["image_id"].tolist() == [2, 4, 4, -1]
  assert batch["score"][0] == 0.25
  assert not batch["visibility"].any()


def test_a_box_beside_the_image_is_a_black_crop(folder):
  source = load(folder, [detection(bbox=[100.0, 90.0, 20.0, 30.0])])
  used = convention_of(source.skeleton)
  (batch,) = batches.eval_batches(source, used, batch_size=1)
  assert not batch["image"].any()


def through_the_crop(used, boxes, batch, labels):
  """Labels as a perfect network gives them: to the heatmap, and back.

  The way there is the convention's for the boxes of the file, the way back the
  batch's.
  """
  crop_from_image = used.crop_from_box(boxes.astype(np.float64))[2]
  there = geometry.compose(used.heatmap_from_crop(), crop_from_image)
  keypoints_heatmap = geometry.apply_affine(there, labels.astype(np.float64))
  return geometry.apply_affine(
    batch["image_from_heatmap"].astype(np.float64), keypoints_heatmap
  )


def test_real_boxes_and_a_perfect_network_find_everybody(test_data, tmp_path):
  """118 boxes on 4 images with 14 people; each shows whom it overlaps most."""
  folder = test_data / "coco_detections"
  annotations = folder / "person_keypoints.json"
  source = detections.load(
    annotations,
    folder / "images",
    folder / "person_detections.json",
    cache_dir=tmp_path,
  )
  assert (source.num_people, source.num_images) == (118, 4)
  used = convention_of(skeletons.COCO, crop_size=(128, 96))
  (batch,) = batches.eval_batches(source, used, batch_size=118)
  people = json.loads(annotations.read_text())["annotations"]
  matched = [
    max(
      (p for p in people if p["image_id"] == i),
      key=lambda p: iou(p["bbox"], box),
    )
    for i, box in zip(source.people.image_id, source.people.bbox, strict=True)
  ]
  labels = np.reshape([p["keypoints"] for p in matched], (-1, 17, 3))
  found_there = through_the_crop(
    used, source.people.bbox, batch, labels[..., :2]
  )
  found = scores.DatasetPredictions(
    image_ids=batch["image_id"],
    annotation_ids=batch["annotation_id"],
    box_scores=batch["score"],
    box_areas=batch["box_area"],
    truth=np.zeros((118, 17, 2)),
    visible=batch["visibility"],
    keypoint_scores=np.ones((118, 17)),
    keypoints={"dark": found_there},
    covariances={},
  )
  metrics = scores.score(
    found, annotations, skeletons.COCO, box_source=source.box_source
  )
  # COCO's ten numbers and no other: nobody knows whom a box shows.
  assert list(metrics)[:2] == ["dark/AP/detections", "dark/AP50/detections"]
  assert len(metrics) == 10
  assert metrics["dark/AR/detections"] == pytest.approx(100, abs=1e-9)
  for nms, count in (("hard", 14), ("none", 118)):
    kept = scores.to_results(found, "dark", skeletons.COCO, nms=nms)
    assert len(kept) == count
  assert len(scores.to_results(found, "dark", skeletons.COCO, nms="soft")) <= 80
  best = max(
    scores.to_results(found, "dark", skeletons.COCO), key=lambda r: r["score"]
  )
  # The detector's own best score, of a box whose keypoints are all certain.
  assert best["score"] == pytest.approx(source.people.score.max(), abs=1e-7)


def iou(first, second):
  (x, y, w, h), (u, v, r, s) = first, second
  across = max(min(x + w, u + r) - max(x, u), 0)
  down = max(min(y + h, v + s) - max(y, v), 0)
  return across * down / (w * h + r * s - across * down)


def test_image_tables_are_kept(folder):
  """The second reading comes from the file beside the records."""
  source = load(folder, [detection(1)])
  path = pathlib.Path(source.builder.data_dir) / "images.npz"
  with np.load(path) as arrays:
    assert arrays["image_id"].tolist() == [1, 2, 3, 4]


def test_boxes_on_unreadable_images_are_left_out_and_counted(tmp_path, caplog):
  coco_folder.write(tmp_path, coco_folder.content(num_images=4))
  (tmp_path / "images" / "2.jpg").write_bytes(b"<html>404</html>")
  with caplog.at_level(logging.WARNING):
    source = load(
      tmp_path,
      [detection(2), detection(3), detection(2)],
      skip_policy=unreadable.SkipPolicy("skip", max_skipped=0.25),
    )
  assert source.people.image_id.tolist() == [3]
  assert "2 boxes on images that cannot be read are left out" in caplog.text


def test_boxes_of_all_the_categories_are_taken(tmp_path):
  found = [detection(category_id=n) for n in (1, 2, 3)]
  images = {1: {"id": 1, "file_name": "1.jpg"}}
  boxes = detections.read(write(tmp_path, found), images, categories=[1, 3])
  np.testing.assert_array_equal(boxes.position, [0, 2])


def without_labels(folder, **changes):
  """A json as of a test set: images, and categories without keypoints."""
  content = json.loads((folder / "annotations.json").read_text())
  del content["annotations"]
  content["categories"] = [
    {"id": 1, "name": "person"},
    {"id": 2, "name": "car"},
  ]
  path = folder / "image_info.json"
  path.write_text(json.dumps(content | changes))
  return path


@pytest.mark.parametrize("changes", [{}, {"annotations": []}])
def test_boxes_are_read_on_images_without_labels(folder, changes):
  found = [detection(2), detection(3), detection(1, category_id=2)]
  source = detections.load(
    without_labels(folder, **changes),
    folder / "images",
    write(folder, found),
    skeleton=DOLL,
    cache_dir=folder / "cache",
  )
  assert source.people.image_id.tolist() == [2, 3]
  assert source.people.annotation_id.tolist() == [0, 1]
  assert source.category_ids == (1,)
  assert (source.skeleton, source.num_images) == (DOLL, 4)
  (batch,) = batches.eval_batches(source, convention_of(DOLL), batch_size=2)
  assert batch["image"].std() > 20  # no black squares


def test_a_named_category_is_searched_without_labels(folder):
  source = detections.load(
    without_labels(folder),
    folder / "images",
    write(folder, [detection(1), detection(4, category_id=2)]),
    skeleton=DOLL,
    category="car",
    cache_dir=folder / "cache",
  )
  assert source.people.image_id.tolist() == [4]
  assert source.category_ids == (2,)


def test_labels_are_asked_for_where_they_are_needed(folder):
  where = (without_labels(folder), folder / "images")
  boxes = write(folder, [detection()])
  message = r"image_info.json has no 'annotations'.*--boxes.*--results"
  with pytest.raises(ValueError, match=message):
    detections.load(*where, "gt", skeleton=DOLL)
  with pytest.raises(ValueError, match=message):  # in training, which scores
    detections.load(*where, boxes)


def test_a_plain_instances_file_is_no_file_without_labels(folder):
  content = json.loads((folder / "annotations.json").read_text())
  people = [{**p, "keypoints": None} for p in content["annotations"]]
  path = without_labels(folder, annotations=people)
  for boxes in ("gt", write(folder, [detection()])):
    with pytest.raises(ValueError, match="plain instances file"):
      detections.load(path, folder / "images", boxes, skeleton=DOLL)


def test_images_of_a_file_without_labels_may_be_skipped_up_to_a_share(tmp_path):
  coco_folder.write(tmp_path, coco_folder.content(num_images=4))
  (tmp_path / "images" / "2.jpg").write_bytes(b"<html>404</html>")
  options = {"skeleton": DOLL, "cache_dir": tmp_path / "cache"}
  where = (without_labels(tmp_path), tmp_path / "images")
  boxes = write(tmp_path, [detection(2), detection(3)])
  with pytest.raises(ValueError, match=r"2\.jpg"):
    detections.load(*where, boxes, **options)
  enough = unreadable.SkipPolicy("skip", max_skipped=0.25)
  source = detections.load(*where, boxes, skip_policy=enough, **options)
  assert source.people.image_id.tolist() == [3]
  fewer = unreadable.SkipPolicy("skip", max_skipped=0.1)
  with pytest.raises(ValueError, match="1 of 4 images"):
    detections.load(*where, boxes, skip_policy=fewer, **options)


def test_a_file_without_images_is_refused(folder):
  path = without_labels(folder, images=[])
  boxes = write(folder, [detection()])
  with pytest.raises(ValueError, match=r"image_info.json lists no images"):
    detections.load(path, folder / "images", boxes, skeleton=DOLL)


IMAGES = {
  11: {"id": 11, "file_name": "photos/IMG_1.jpg"},
  12: {"id": 12, "file_name": "photos/IMG_2.jpg"},
  13: {"id": 13, "id_in_file": "c", "file_name": "photos/IMG_3.jpg"},
}


@pytest.mark.parametrize(
  ("fields", "image_id"),
  [
    ({"image_id": 12}, 12),
    ({"image_id": 12.0}, 12),
    ({"image_id": "c"}, 13),
    ({"image_id": "IMG_2"}, 12),
    ({"image_id": "IMG_2.jpg"}, 12),
    ({"image_id": None, "file_name": "IMG_2.jpg"}, 12),
    ({"image_id": "IMG_2", "file_name": "IMG_2.jpg"}, 12),
    ({"image_id": 2, "file_name": r"D:\photos\img_2.JPG"}, 12),
    ({"image_id": 12, "file_name": "elsewhere.jpg"}, 12),
    ({"image_id": 11, "file_name": "IMG_2.jpg"}, 12),  # a detector's own count
    ({"image_id": 2}, None),
    ({"image_id": "12"}, None),
    ({"image_id": "IMG"}, None),
    ({"image_id": 13}, None),  # the file calls it "c"
  ],
  ids=str,
)
def test_boxes_find_their_image_by_id_or_name(tmp_path, fields, image_id):
  path = write(tmp_path, [detection(11), detection(**fields)])
  found = detections.read(path, IMAGES).image_id.tolist()
  assert found == [11] + ([] if image_id is None else [image_id])


def test_ids_that_contradict_names_are_counted(tmp_path, caplog):
  found = [detection(11, file_name=f"IMG_{n}.jpg") for n in (1, 2)]
  detections.read(write(tmp_path, found), IMAGES)
  assert "image_id of 1 boxes mean different images" in caplog.text


def test_boxes_of_another_category_name_both_sides(tmp_path):
  path = write(tmp_path, [detection(11, category_id=0)] * 3)
  with pytest.raises(ValueError, match=r"3 boxes are of categories \[0\], the"):
    detections.read(path, IMAGES)
  assert len(detections.read(path, IMAGES, categories=[0])) == 3


def test_boxes_of_another_category_can_be_named(folder):
  found = [detection(category_id=0), detection(category_id=5)]
  source = load(folder, found, box_category=5)
  assert source.people.annotation_id.tolist() == [1]


def test_detections_without_score_or_category_are_people(folder):
  found = [detection(1, score=None), detection(2, category_id=None)]
  source = load(folder, found)
  assert source.people.score.tolist() == [1, np.float32(0.9)]


def test_detectors_that_count_from_0_are_noticed(folder, caplog):
  load(folder, [detection(category_id=0), detection(2)])
  assert "1 boxes of category 0 are left out, 1 are of people" in caplog.text


@pytest.mark.parametrize(
  ("bbox", "message"),
  [
    ([0.1, 0.2, 0.5, 0.7], "1 of 1 boxes lie in 0..1"),
    ([20.0, 30.0, 40.0, 60.0], "nearly all look like (x1, y1, x2, y2)"),
  ],
)
def test_boxes_of_another_form_are_noticed(folder, bbox, message, caplog):
  load(folder, [detection(bbox=bbox)])
  assert message in caplog.text
