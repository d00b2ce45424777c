"""Skeletons of categories: the built-in ones, and what a file changes."""

import dataclasses
import json

import coco_folder
import pytest

from darkjax import skeletons
from darkjax.data.check import report
from darkjax.data.coco import categories, reader

BUILT_IN = [skeletons.COCO, skeletons.LSP, skeletons.MPII]


def category(built_in: skeletons.Skeleton, /, **fields) -> dict:
  return {
    "id": 1,
    "name": "person",
    "keypoints": list(built_in.keypoint_names),
    **fields,
  }


def counted_from_one(limbs) -> list[list[int]]:
  return [[a + 1, b + 1] for a, b in limbs]


# What a category gives in a field, and what a skeleton then has.
GIVEN = {
  "skeleton": ([[1, 2], [2, 3]], {"limbs": ((0, 1), (1, 2))}),
  "flip_pairs": ([[2, 3]], {"flip_pairs": ((2, 3),)}),
  "upper_body": ([0, 1], {"upper_body": (0, 1)}),
}


@pytest.mark.parametrize("built_in", BUILT_IN)
@pytest.mark.parametrize("field", GIVEN)
def test_a_category_replaces_one_built_in_field(built_in, field):
  value, own = GIVEN[field]
  found = categories.skeleton_of(category(built_in, **{field: value}))
  assert found == dataclasses.replace(built_in, name="person", **own)


@pytest.mark.parametrize("built_in", BUILT_IN)
def test_a_category_replaces_built_in_sigmas(built_in):
  sigmas = [0.05] * built_in.num_keypoints
  found = categories.skeleton_of(category(built_in, sigmas=sigmas))
  assert found == dataclasses.replace(
    built_in, name="person", sigmas=tuple(sigmas)
  )


@pytest.mark.parametrize("built_in", BUILT_IN)
def test_with_a_lower_body_alone_the_upper_body_is_the_rest(built_in):
  found = categories.skeleton_of(category(built_in, lower_body=[4, 5]))
  rest = tuple(k for k in range(built_in.num_keypoints) if k not in (4, 5))
  assert (found.lower_body, found.upper_body) == ((4, 5), rest)
  assert found.limbs == built_in.limbs


@pytest.mark.parametrize("built_in", BUILT_IN)
@pytest.mark.parametrize(
  "fields",
  [
    lambda built_in: {},
    lambda built_in: {"skeleton": []},
    lambda built_in: {"skeleton": None, "sigmas": None, "flip_pairs": None},
    lambda built_in: {"skeleton": counted_from_one(built_in.limbs)},
    lambda built_in: {"skeleton": counted_from_one(built_in.limbs)[::-1]},
    lambda built_in: {
      "skeleton": [[b, a] for a, b in counted_from_one(built_in.limbs)],
      "flip_pairs": [list(pair) for pair in built_in.flip_pairs[::-1]],
      "sigmas": list(built_in.sigmas),
      "lower_body": list(built_in.lower_body[::-1]),
    },
  ],
)
def test_fields_in_another_order_give_the_built_in_skeleton(built_in, fields):
  assert (
    categories.skeleton_of(category(built_in, **fields(built_in))) is built_in
  )


def test_empty_lists_count_but_for_limbs():
  found = categories.skeleton_of(
    category(skeletons.COCO, flip_pairs=[], lower_body=[], skeleton=[])
  )
  assert (found.flip_pairs, found.lower_body) == ((), ())
  assert found.limbs == skeletons.COCO.limbs


def test_other_names_are_read_as_they_stand():
  names = list(skeletons.COCO.keypoint_names[::-1])
  what = category(skeletons.COCO, keypoints=names)
  assert categories.skeleton_of(what) == skeletons.from_coco_category(what)
  assert categories.built_in(names) is None


DOG, CAT = (
  {"id": i, "name": n, "keypoints": ["nose"]}
  for i, n in ((5, "dog"), (6, "cat"))
)
BALL = {"id": 7, "name": "ball", "keypoints": ["top", "bottom"]}
BALL_SKELETON = skeletons.from_coco_category(BALL)
BOX = {"id": 8, "name": "box"}


@pytest.mark.parametrize(
  ("listed", "options", "ids"),
  [
    ([BOX, DOG, CAT], {}, [5, 6]),
    ([BOX, DOG, CAT], {"name": ""}, [5, 6]),
    ([BOX, DOG, CAT], {"name": "cat"}, [6]),
    ([DOG, CAT], {"skeleton": BALL_SKELETON}, [5, 6]),
    ([DOG, BALL, CAT], {"name": "ball"}, [7]),
    ([DOG, BALL, CAT], {"skeleton": BALL_SKELETON}, [7]),
    ([DOG, BALL], {"name": "dog", "skeleton": BALL_SKELETON}, [5]),
  ],
)
def test_which_categories_are_read(listed, options, ids):
  assert list(categories.choose(listed, **options)) == ids


@pytest.mark.parametrize(
  ("listed", "options", "message"),
  [
    ([DOG, BALL], {}, r"\('dog', 1\), \('ball', 2\).*--category.*data\.cat"),
    ([DOG, BALL], {"skeleton": skeletons.COCO}, "none has the checkpoint's"),
    ([DOG, BALL, BOX], {"name": "box"}, r"no category 'box'.*\('dog', 1\)"),
    ([DOG, BALL], {"name": "cow"}, "no category 'cow'.*name one of those"),
    ([BOX], {"name": "box"}, "no category with.*plain instances file"),
  ],
)
def test_choices_that_cannot_be_made_name_the_categories(
  listed, options, message
):
  with pytest.raises(ValueError, match=message):
    categories.choose(listed, **options)


PERSON = {"id": 1, "name": "person"}


@pytest.mark.parametrize(
  ("listed", "name", "ids"),
  [
    ([BOX, PERSON], "", (1,)),
    ([BOX, PERSON], "box", (8,)),
    ([BOX], None, (8,)),
    # As named as the checkpoint's skeleton; as listing its keypoints.
    ([PERSON, {"id": 2, "name": "ball"}], None, (2,)),
    ([PERSON, {**BALL, "name": "kugel"}, BALL], None, (7, 7)),
    ([DOG, BOX], None, (8,)),
  ],
)
def test_what_is_searched_without_labels(listed, name, ids):
  assert categories.choose_for_boxes(listed, BALL_SKELETON, name=name) == ids


@pytest.mark.parametrize(
  ("listed", "name"),
  [
    ([BOX, {"id": 9, "name": "bag"}], None),
    ([DOG], None),
    ([DOG, PERSON], "dog"),
    ([], None),
    ([{"name": "person"}], None),
  ],
)
def test_without_labels_too_a_category_must_fit(listed, name):
  with pytest.raises(ValueError, match=r"2 keypoints; categories.*--category"):
    categories.choose_for_boxes(listed, BALL_SKELETON, name=name)


def write(folder, what):
  content = coco_folder.content(num_images=1)
  content["categories"] = [what]
  count = len(what["keypoints"])
  content["annotations"][0]["keypoints"] = [20.0, 20.0, 2] * count
  path = folder / "people.json"
  path.write_text(json.dumps(content))
  return path


def test_limbs_that_cannot_be_are_refused(tmp_path):
  path = write(tmp_path, category(skeletons.COCO, skeleton=[[0, 1]]))
  with pytest.raises(ValueError, match=r"people.json: .*'skeleton' .* from 1"):
    reader.read_annotations(path)


def test_the_check_reports_where_pairs_and_limbs_come_from(tmp_path):
  def told(**fields):
    path = write(tmp_path, category(skeletons.LSP, **fields))
    return " ".join(report.check(path).text().split())

  assert "6 pairs, from built-in skeleton 'lsp'" in told()
  assert "14, from built-in skeleton 'lsp'" in told(skeleton=[])
  own = told(skeleton=[[1, 2]], flip_pairs=[[0, 5]])
  assert "limbs 1, from the category" in own
  assert "1 pairs, from the category" in own
  assert "14, from built-in skeleton 'lsp'" in told(flip_pairs=[[0, 5]])


@pytest.mark.parametrize(
  ("path", "built_in"),
  [
    ("coco_detections/person_keypoints.json", skeletons.COCO),
    ("coco_val_gt/person_keypoints_val2017.json", skeletons.COCO),
    ("lsp/annotations/person_keypoints_test.json", skeletons.LSP),
  ],
)
def test_real_files_give_the_built_in_skeletons(test_data, path, built_in):
  assert reader.read_content(test_data / path).skeleton is built_in


@pytest.mark.parametrize(
  ("ids", "message"),
  [
    (["1"], r"1 annotations have category_id '1' \(text\); .* 1 \(number\)"),
    ([0, 0], r"2 annotations have category_id 0 \(number\); .* 1 \(number\)"),
    ([None], "1 annotations have category_id None"),
    (["a", 3], r"'a' \(text\) or 3 \(number\)"),
  ],
)
def test_categories_that_are_not_listed_are_named(tmp_path, ids, message):
  content = coco_folder.content(num_images=len(ids))
  for annotation, category_id in zip(content["annotations"], ids, strict=True):
    annotation["category_id"] = category_id
  path, _ = coco_folder.write(tmp_path, content)
  with pytest.raises(ValueError, match=message):
    reader.read_annotations(path)


def test_a_few_annotations_of_unlisted_categories_are_left_out(
  tmp_path, caplog
):
  content = coco_folder.content(num_images=3)
  content["annotations"][0]["category_id"] = "1"
  path, _ = coco_folder.write(tmp_path, content)
  labels = reader.read_annotations(path)
  assert len(labels.images) == 2
  assert "1 annotations have category_id '1' (text)" in caplog.text


def test_a_category_without_keypoints_may_have_any_id(tmp_path):
  content = coco_folder.content(num_images=2)
  content["categories"].append({"id": [2], "name": "car"})
  path, _ = coco_folder.write(tmp_path, content)
  assert reader.read_annotations(path).category_ids == (1,)


@pytest.mark.parametrize("category_id", [0, "1", "person", 1.0])
def test_ids_of_categories_are_of_any_kind(tmp_path, category_id):
  content = coco_folder.content(num_images=2)
  content["categories"][0]["id"] = category_id
  for annotation in content["annotations"]:
    annotation["category_id"] = category_id
  path, _ = coco_folder.write(tmp_path, content)
  assert reader.read_annotations(path).category_ids == (category_id,)
