"""Left and right in real people, whose pairs are swapped one at a time."""

import dataclasses

import numpy as np
import pytest

from darkjax.data.check import left_right
from darkjax.data.check.labels import read_labels
from darkjax.data.coco import reader


@pytest.mark.parametrize(
  "path",
  [
    "coco/annotations/person_keypoints_val2017.json",  # 8 pairs
    "lspet/annotations/person_keypoints_train.json",  # 6
  ],
)
def test_a_swapped_pair_is_named_and_no_other(test_data, path):
  labels = read_labels(reader.read_content(test_data / path))
  people, skeleton = labels.people, labels.content.skeleton
  for left, right in skeleton.flip_pairs:
    keypoints = people.keypoints.copy()
    keypoints[:, [left, right]] = keypoints[:, [right, left]]
    swapped = dataclasses.replace(people, keypoints=keypoints)
    findings = left_right.findings(dataclasses.replace(labels, people=swapped))
    (text,) = [f.text for f in findings if f.rule == "pair-swapped"]
    pair = "/".join(skeleton.keypoint_names[k] for k in (left, right))
    assert text.partition(": ")[2].startswith(f"{pair} in ")
    assert "," not in text


def test_the_people_named_as_twisted_have_a_pair_against_the_others(test_data):
  path = test_data / "lspet/annotations/person_keypoints_train.json"
  labels = read_labels(reader.read_content(path))
  (twisted,) = left_right.findings(labels)
  assert twisted.rule == "person-twisted"
  people = labels.people.rows(np.isin(labels.people.annotation_id, twisted.ids))
  # Shoulders, elbows and hips, which point alike in over 95 % of all people.
  names = labels.content.skeleton.keypoint_names
  vectors = []
  for part in ("shoulder", "elbow", "hip"):
    ends = [
      people.keypoints[:, names.index(f"{s}_{part}")] for s in ("left", "right")
    ]
    labelled = (ends[0][:, 2:] > 0) & (ends[1][:, 2:] > 0)
    vectors.append(np.where(labelled, (ends[0] - ends[1])[:, :2], 0))
  pairs = [(a * b).sum(-1) for i, a in enumerate(vectors) for b in vectors[:i]]
  assert (np.min(pairs, axis=0) < 0).all()
