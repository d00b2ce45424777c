"""The script of the grid: from tiny checkpoints to tables, and its messages."""

import dataclasses
import json

import ablation
import ablation_report
import blobs
import commands
import jax
import jax.numpy as jnp
import pytest
from paths import ROOT
from published import docstring
from small_network import GAUSSIAN

from darkjax import checkpoint, models, skeletons
from darkjax.data.coco import prepare
from darkjax.data.synthetic import dataset


@pytest.mark.filterwarnings("ignore:.*:DeprecationWarning")
def test_from_two_checkpoints_to_tables(tmp_path):
  json_path = dataset.write_dataset(tmp_path, num_people=5, seed=2)
  fields = {"name": "simple_baseline_50", "num_keypoints": 17}
  fields |= {"blocks": [1, 1, 1, 1], "features": 4, "deconv_features": 4}
  variables = models.create_model(**fields).init(
    jax.random.key(0), jnp.zeros((1, 64, 64, 3))
  )
  unbiased = blobs.convention_of(skeletons.COCO, "dark", crop_size=(64, 64))
  biased = dataclasses.replace(
    unbiased, quantize="round", alignment="hrnet", flip_shift=1
  )
  for name, convention in (("biased", biased), ("unbiased", unbiased)):
    checkpoint.save_variables(tmp_path / name, variables, convention, fields)
  done = commands.run(
    "ablation",
    f"--checkpoint-biased={tmp_path / 'biased'}",
    f"--checkpoint-unbiased={tmp_path / 'unbiased'}",
    f"--annotations={json_path}",
    f"--images={tmp_path / 'images'}",
    f"--cache={tmp_path / 'cache'}",
    "--batch_size=2",
    "--limit=3",
    f"--out={tmp_path / 'grid.json'}",
    f"--out={tmp_path / 'grid.md'}",
  )
  assert done.returncode == 0, done.stderr
  assert (tmp_path / "grid.md").read_text() == done.stdout
  assert "not given" not in done.stdout
  assert "people: 3\n" in done.stdout
  # Two grids of twelve rows, all but one per checkpoint marked.
  rows = [line for line in done.stdout.splitlines() if "biased | " in line]
  grids = [row for row in rows if row.split(" | ")[2] in "01"]
  assert [len(grids), sum("*" in row for row in grids)] == [24, 20]

  found = json.loads((tmp_path / "grid.json").read_text())["found"]
  # The same weights, and nothing of the encoder is read in an evaluation.
  both = [
    {(c["alignment"], c["flip_shift"]): c["metrics"] for c in one["cells"]}
    for one in found.values()
  ]
  assert both[0] == both[1]
  assert len(both[0]) == 6


def test_without_checkpoints_it_says_how_to_train_some():
  text = commands.run("ablation").returncode  # what sys.exit prints
  named = [
    word.removeprefix("--config=")
    for word in text.split()
    if word.startswith("--config=")
  ]
  assert len(named) == 6
  assert [name.partition(":")[2] for name in named] == 3 * ["biased", ""]
  assert all((ROOT / name.partition(":")[0]).is_file() for name in named)


def test_weights_of_the_other_encoder_are_refused():
  ablation.check_encoder("runs/x", "unbiased", GAUSSIAN)
  with pytest.raises(ValueError, match="give it as --checkpoint-unbiased"):
    ablation.check_encoder("runs/x", "biased", GAUSSIAN)
  biased = dataclasses.replace(GAUSSIAN, quantize="floor")
  with pytest.raises(ValueError, match="quantize='floor', which is biased"):
    ablation.check_encoder("runs/x", "unbiased", biased)


@pytest.mark.filterwarnings("ignore:.*:DeprecationWarning")
def test_a_limit_leaves_the_others_out_of_the_labels(tmp_path):
  folder = blobs.write(tmp_path)
  source = prepare.load(
    folder / "people.json", folder, cache_dir=folder / "cache"
  )
  other = tmp_path / "other"
  other.mkdir()
  few, path = ablation.first_people(source, 3, other)
  content = json.loads(path.read_text())
  # The third image shows two people, of whom one is left.
  assert few.people.annotation_id.tolist() == [1, 2, 3]
  assert [person["id"] for person in content["annotations"]] == [1, 2, 3]
  assert [image["id"] for image in content["images"]] == [1, 2, 3]
  assert source.num_people == 6
  detected = dataclasses.replace(source, box_source="detections")
  path = ablation.first_people(detected, 3, other)[1]
  content = json.loads(path.read_text())
  assert [person["id"] for person in content["annotations"]] == [1, 2, 3, 4]


def test_the_papers_numbers_are_those_the_configurations_expect():
  # Both were read off Tables 1 to 3, at different times.
  text = docstring("coco_hrnet_w32_128x96")
  unbiased, biased = text.split("With :biased")
  for (encoder, _), row in ablation_report.PAPER.items():
    assert str(row[0]) in (biased if encoder == "biased" else unbiased)
