"""Weights copied into networks with other keypoints, in every family."""

import dataclasses
import logging

import jax
import numpy as np
import pytest
from conventions import make_convention
from flax import traverse_util

from darkjax import checkpoint, models, skeletons
from darkjax.checkpoint import fine_tuning
from darkjax.inference.pose import PRETRAINED
from darkjax.models import tracing

SIZE = (64, 64)
HRNET = {"channels": 4, "stem_features": 4, "stage1_features": 4}
HRNET |= {"modules": (1,), "blocks": 1}
RESNET = {"blocks": (1, 1, 1, 1), "features": 4, "deconv_features": 4}
# By family: fields of a tiny network, and the layers with axes of keypoints.
FAMILIES = {
  "hrnet_small": (HRNET, "final_layer"),
  "simple_baseline_50": (RESNET, "final_layer"),
  "hourglass_4": (
    {"stacks": 2, "features": 8},
    "score_0, score_1, score__0",
  ),
}
# Wrists and ankles of LSP, which stand elsewhere there, around two new names;
# pairs are the other way round than in LSP.
LIMBS = skeletons.from_coco_category(
  {
    "name": "limbs",
    "keypoints": (
      "left_toe left_wrist right_wrist tail left_ankle right_ankle right_toe"
    ).split(),
  }
)
COPIED = [1, 2, 4, 5]  # the rows of LIMBS that LSP has


def network(name, skeleton, **overrides):
  count = skeleton.num_keypoints
  fields = {"name": name, "num_keypoints": count, **FAMILIES[name][0]}
  return fields | overrides


def drawn(fields, rng):
  """Variables of all shapes, without compiling the network's own."""
  shapes = tracing.trace(models.create_model(**fields), SIZE)[0]
  return jax.tree.map(lambda s: rng.normal(size=s.shape).astype("f4"), shapes)


def leaves(tree):
  return traverse_util.flatten_dict(tree, sep="/")


@pytest.fixture
def rng():
  return np.random.default_rng(17)


def save(folder, name, rng, skeleton=skeletons.LSP, **overrides):
  fields = network(name, skeleton, **overrides)
  variables = drawn(fields, rng)
  convention = make_convention(skeleton, SIZE)
  checkpoint.save_variables(folder, variables, convention, fields)
  return leaves(variables)


def load_into(fresh, path, name, skeleton, **convention):
  fields = network(name, skeleton)
  loaded = fine_tuning.load_into(
    fresh,
    path,
    model=models.create_model(**fields),
    convention=dataclasses.replace(
      make_convention(skeleton, SIZE), **convention
    ),
  )
  return leaves(loaded)


@pytest.mark.parametrize("name", FAMILIES)
def test_rows_of_the_same_names_are_copied(name, tmp_path, rng, caplog):
  caplog.set_level(logging.INFO, "darkjax")
  old = save(tmp_path / "lsp", name, rng)
  drawn_tree = drawn(network(name, LIMBS), rng)
  fresh = leaves(jax.tree.map(np.copy, drawn_tree))
  new = load_into(drawn_tree, tmp_path / "lsp", name, LIMBS)
  jax.tree.map(np.testing.assert_array_equal, leaves(drawn_tree), fresh)
  assert new.keys() == fresh.keys() == old.keys()
  names, lsp = LIMBS.keypoint_names, skeletons.LSP
  of = [lsp.keypoint_names.index(names[k]) for k in COPIED]
  layers, with_rows = FAMILIES[name][1], []
  for array, value in new.items():
    layer, kind = array.split("/")[1], array.split("/")[-1]
    reads = "__" in layer  # heatmaps: its inputs are the keypoints
    if layer not in layers.split(", ") or (reads and kind == "bias"):
      np.testing.assert_array_equal(value, old[array], err_msg=array)
      continue
    with_rows.append(layer)
    got, before, source = (  # kernels are [1, 1, in, out]
      np.moveaxis(tree[array], -2 if reads else -1, 0)
      for tree in (new, fresh, old)
    )
    assert got.shape == before.shape
    np.testing.assert_array_equal(got[COPIED], source[of])
    np.testing.assert_array_equal(got[[0, 3, 6]], before[[0, 3, 6]])
    # Where the mirror takes a copied row is the row of the old one's partner.
    np.testing.assert_array_equal(
      got[[LIMBS.flip_indices[k] for k in COPIED]],
      source[[lsp.flip_indices[k] for k in of]],
    )
  assert ", ".join(dict.fromkeys(with_rows)) == layers
  whole, count = len(new) - len(with_rows), len(new)
  assert [record.getMessage() for record in caplog.records] == [
    f"copied from {tmp_path / 'lsp'}: {whole} of {count} arrays whole",
    f"copied rows of {layers}: left_wrist, right_wrist, left_ankle, "
    "right_ankle",
    f"new rows of {layers}: left_toe, tail, right_toe",
  ]


def test_the_same_keypoints_are_all_copied_in_any_order(tmp_path, rng):
  old = save(tmp_path / "lsp", "hrnet_small", rng)
  fresh = drawn(network("hrnet_small", skeletons.LSP), rng)
  new = load_into(fresh, tmp_path / "lsp", "hrnet_small", skeletons.LSP)
  for name, value in new.items():
    np.testing.assert_array_equal(value, old[name], err_msg=name)
  names = skeletons.LSP.keypoint_names[::-1]
  turned = skeletons.from_coco_category({"name": "lsp", "keypoints": names})
  new = load_into(fresh, tmp_path / "lsp", "hrnet_small", turned)
  bias = "params/final_layer/bias"
  np.testing.assert_array_equal(new[bias], old[bias][::-1])


def test_without_a_name_in_common_the_head_is_new(tmp_path, rng, caplog):
  caplog.set_level(logging.INFO, "darkjax")
  save(tmp_path / "lsp", "hrnet_small", rng)
  points = {"name": "face", "keypoints": [f"point_{n}" for n in range(1, 69)]}
  face = skeletons.from_coco_category(points)
  fresh = drawn(network("hrnet_small", face), rng)
  kernel = "params/final_layer/kernel"
  before = leaves(fresh)[kernel].copy()
  new = load_into(fresh, tmp_path / "lsp", "hrnet_small", face)
  np.testing.assert_array_equal(new[kernel], before)
  assert "copied rows" not in caplog.text
  assert "new rows of final_layer: point_1, point_2, " in caplog.text
  assert caplog.text.endswith("point_20 and 48 more\n")


def test_another_convention_is_named(tmp_path, rng, caplog):
  save(tmp_path / "lsp", "hrnet_small", rng)
  fresh = drawn(network("hrnet_small", LIMBS), rng)
  load_into(fresh, tmp_path / "lsp", "hrnet_small", LIMBS)
  assert not caplog.records  # the keypoints are not a matter of warning
  changed = {"head": "softmax", "crop_size": (128, 96)}
  new = load_into(fresh, tmp_path / "lsp", "hrnet_small", LIMBS, **changed)
  assert new["params/final_layer/bias"].shape == (7,)
  (record,) = caplog.records
  assert record.levelno == logging.WARNING
  assert "crop_size: (128, 96) here, (64, 64) there" in record.getMessage()
  assert "head: 'softmax' here, 'gaussian' there" in record.getMessage()
  assert "skeleton" not in record.getMessage()


@pytest.mark.parametrize(
  ("name", "overrides", "differing"),
  [
    ("simple_baseline_50", {}, "is absent, expected"),
    ("hrnet_small", {"channels": 8}, r"is \(8,\), expected \(4,\)"),
    ("hrnet_small", {"blocks": 2}, r"is \(4,\), expected none"),
    ("hrnet_small", {"num_keypoints": 15}, r"is \(15,\), expected \(14,\)"),
  ],
)
def test_another_network_is_refused(name, overrides, differing, tmp_path, rng):
  save(tmp_path / "weights", name, rng, **overrides)
  fresh = drawn(network("hrnet_small", LIMBS), rng)
  with pytest.raises(
    ValueError,
    match=f"weights are of another network.*only the keypoints may differ.*"
    f"{differing}.* more differ; the weights' network.*{name}",
  ):
    load_into(fresh, tmp_path / "weights", "hrnet_small", LIMBS)


def test_what_is_no_checkpoint_is_refused(tmp_path, rng):
  fresh = drawn(network("hrnet_small", LIMBS), rng)
  with pytest.raises(FileNotFoundError, match=f"no checkpoint in {tmp_path}"):
    load_into(fresh, tmp_path, "hrnet_small", LIMBS)
  (tmp_path / "weights.safetensors").write_bytes(b"no weights")
  with pytest.raises(ValueError, match="is not a file of weights"):
    load_into(fresh, tmp_path / "weights.safetensors", "hrnet_small", LIMBS)


def test_the_weights_that_ship_start_any_keypoints(rng):
  variables, metadata = checkpoint.load(PRETRAINED)
  fields = metadata.model | {"num_keypoints": LIMBS.num_keypoints}
  new = fine_tuning.load_into(
    drawn(fields, rng),
    PRETRAINED,
    model=models.create_model(**fields),
    convention=dataclasses.replace(metadata.convention, skeleton=LIMBS),
  )
  names = metadata.convention.skeleton.keypoint_names
  np.testing.assert_array_equal(
    new["params"]["final_layer"]["bias"][1],
    variables["params"]["final_layer"]["bias"][names.index("left_wrist")],
  )
