"""The convention that a checkpoint carries."""

import dataclasses
import json

import numpy as np
import pytest

from configs import coco_hrnet_w32_128x96
from darkjax import convention, geometry, skeletons


def official() -> convention.Convention:
  config = coco_hrnet_w32_128x96.get_config()
  return convention.from_config(config.convention, skeleton=skeletons.COCO)


def test_config_gives_heatmaps_of_a_quarter_and_the_whole_gaussian():
  result = official()
  assert result.heatmap_size == (32, 24)
  assert result.truncate is None


def test_json_round_trip_through_text():
  text = json.dumps(official().to_json())
  assert convention.from_json(json.loads(text)) == official()


def test_checkpoints_older_than_the_head_hold_gaussian_ones():
  fields = official().to_json()
  assert fields.pop("head") == "gaussian"
  assert convention.from_json(fields) == official()


def test_differences_name_the_field_and_both_values():
  other = dataclasses.replace(official(), flip_shift=1, alignment="hrnet")
  assert official().differences(other) == [
    "alignment: 'dark' here, 'hrnet' there",
    "flip_shift: 0 here, 1 there",
  ]
  assert official().differences(official()) == []


@pytest.mark.parametrize(
  ("change", "choices"),
  [
    ({"alignment": "mmpose"}, "udp"),
    ({"quantize": "trunc"}, "floor"),
    ({"flip_shift": 2}, "1"),
    ({"channel_order": "rbg"}, "bgr"),
    ({"head": "sigmoid"}, "softmax"),
  ],
)
def test_unknown_values_list_the_choices(change, choices):
  with pytest.raises(ValueError, match=choices):
    dataclasses.replace(official(), **change)


def test_crop_of_a_box_is_the_geometry_of_its_alignment():
  bbox = np.array([10.0, 20.0, 60.0, 120.0])
  center, scale, matrix = official().crop_from_box(bbox)
  # By hand for dark: the middle pixel, 120·96/128 = 90 wide, 25 % more.
  np.testing.assert_allclose(center, [39.5, 79.5])
  np.testing.assert_allclose(scale, [112.5, 150.0])
  expected = geometry.crop_from_image(
    center, scale, crop_size=(128, 96), alignment="dark"
  )
  np.testing.assert_array_equal(matrix, expected)


def test_the_default_method_reads_the_head():
  assert official().default_method == "dark"
  softmax = dataclasses.replace(official(), head="softmax")
  assert softmax.default_method == "integral"
  assert convention.METHODS == ("argmax", "standard", "dark", "integral")
