"""The codec oracle on a few people made up here."""

import codec_oracle as oracle
import numpy as np
import pytest


@pytest.fixture
def annotations(rng):
  """12 people of 17 keypoints inside their boxes, one a crowd, one unlabelled.

  Boxes are 3 to 1, so that most keypoints are far from the border of the map.
  """
  people = []
  for index in range(12):
    corner, size = rng.uniform(0, 50, 2), np.array([40.0, 120.0])
    points = corner + rng.uniform(0.1, 0.9, (17, 2)) * size
    visibility = np.full((17, 1), 0 if index == 1 else 2)
    people.append(
      {
        "id": index + 1,
        "image_id": index + 1,
        "category_id": 1,
        "iscrowd": int(index == 0),
        "bbox": [*corner, *size],
        "area": float(size.prod() / 2),
        "num_keypoints": int((visibility > 0).sum()),
        "keypoints": np.hstack([points, visibility]).ravel().tolist(),
      }
    )
  return {
    "images": [
      {"id": p["image_id"], "width": 99, "height": 199} for p in people
    ],
    "annotations": people,
    "categories": [{"id": 1, "name": "person"}],
  }


def test_crowds_and_unlabelled_people_are_left_out(annotations):
  assert oracle.load_people(annotations).image_ids == list(range(3, 13))
  with pytest.raises(ValueError, match="no person with labelled"):
    oracle.load_people({"annotations": annotations["annotations"][:2]})


def test_unbiased_maps_and_dark_bring_the_points_back(annotations):
  table = oracle.measure(
    annotations, oracle.SIZES["128x96"], "unbiased", alignment="udp"
  )
  exact, rough = table["dark, no modulation"], table["argmax"]
  assert exact["labelled"] == 10 * 17
  assert exact["inside"] == 10 * 17
  # Logs of Gaussians are quadratics: exact but for float32. AP 100 says that
  # the way back to the image is the inverse of the way there.
  assert exact["max"] < 1e-4
  assert exact["AP"] == pytest.approx(100.0)
  # Uniform in a pixel: mean distance to the centre 0.3826 px (by integration),
  # at most half a diagonal.
  assert rough["mean"] == pytest.approx(0.3826, abs=0.03)
  assert rough["max"] < 0.7072


def test_rounding_undoes_what_dark_gains(annotations):
  table = oracle.measure(
    annotations, oracle.SIZES["128x96"], "round", alignment="udp"
  )
  assert table["dark, no modulation"]["mean"] == pytest.approx(
    table["argmax"]["mean"], abs=1e-4
  )


def test_batches_hold_every_person_once(rng, monkeypatch):
  size = oracle.SIZES["128x96"]
  points = rng.uniform(2, 20, (7, 3, 2))
  monkeypatch.setattr(oracle, "MAPS_PER_BATCH", 3 * 3 * 32 * 24)  # 3 people
  decoded = oracle.decode_all(points, size, "none", noise=0.0, seed=0)
  np.testing.assert_allclose(
    decoded["dark, no modulation"], points, atol=1e-4
  )  # float32 logs, in px
