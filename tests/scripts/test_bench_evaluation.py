"""The benchmark of scoring, on a few people made up here."""

import json

import bench_evaluation as bench
import numpy as np
import pytest

COUNT = 8


@pytest.fixture
def annotations(rng):
  """8 people of 17 keypoints in 4 images."""
  people = []
  for i in range(COUNT):
    corner, size = rng.uniform(0, 50, 2), np.array([90.0, 270.0])
    points = corner + rng.uniform(0.1, 0.9, (17, 2)) * size
    people.append(
      {
        "id": i + 1,
        "image_id": i % 4,
        "category_id": 1,
        "iscrowd": 0,
        "bbox": [*corner, *size],
        "area": float(size.prod() / 2),
        "num_keypoints": 17,
        "keypoints": np.insert(points, 2, 2, axis=1).ravel().tolist(),
      }
    )
  return {
    "images": [{"id": i} for i in range(4)],
    "annotations": people,
    "categories": [{"id": 1, "name": "person", "keypoints": list("a" * 17)}],
  }


def test_one_box_for_everybody_finds_everybody(annotations):
  """Keypoints are off by 0.2 % of the box, a tenth of what OKS allows."""
  line = bench.measure(annotations, count=COUNT, batch_size=3, seed=0)
  assert line["boxes"] == line["results"] == COUNT
  assert line["AP/detections"] == pytest.approx(100, abs=0.01)
  assert json.loads(json.dumps(line)) == line


def test_more_boxes_cost_time_and_precision(annotations):
  line = bench.measure(annotations, count=5 * COUNT, batch_size=16, seed=0)
  assert line["boxes"] == 5 * COUNT
  assert COUNT < line["results"] <= 5 * COUNT
  assert 20 < line["AP/detections"] < 99
  stages = dict(line["seconds"])
  drawing = stages.pop("drawing heatmaps")
  assert set(stages) == {"decoding, way back", "rescoring and NMS", "COCO's AP"}
  # Rounded to hundredths, three of them.
  assert line["total_seconds"] == pytest.approx(sum(stages.values()), abs=0.02)
  assert drawing > 0
  # Python with JAX and TensorFlow loaded takes between these.
  assert 0.1 < line["peak_rss_gib"] < 20


def test_boxes_are_the_same_for_a_seed(annotations):
  one, same, other = (
    bench.make_boxes(annotations, 3 * COUNT, seed) for seed in (1, 1, 2)
  )
  for a, b in zip(one, same, strict=True):
    np.testing.assert_array_equal(a, b)
  assert (one.bbox != other.bbox).any()
  assert (one.bbox[:, 2:] > 0).all()
  assert ((one.scores > 0) & (one.scores <= 1)).all()
  # The first box of everybody is a good one.
  truth = np.array([p["bbox"] for p in annotations["annotations"]])
  np.testing.assert_allclose(one.bbox[:COUNT], truth, atol=0.05 * 270)


def test_fewer_boxes_than_people_are_refused(annotations):
  with pytest.raises(ValueError, match="less than 8 labelled people"):
    bench.make_boxes(annotations, COUNT - 1, 0)
