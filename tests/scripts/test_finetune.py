"""The script of fine-tuning: labels, a tiny run that goes on, its table."""

import json

import commands
import finetune
import numpy as np
import pytest
import tiny_weights
from published import load

from darkjax.data.synthetic import dataset

WRISTS = ("right_wrist", "left_wrist")


def labels(people):
  """Four keypoints of each, at (10 n, k); the third is not labelled."""
  names = ["left_wrist", "nose", "tail", "right_wrist"]
  return {
    "images": [{"id": 70 + n} for n in range(people)],
    "annotations": [
      {
        "id": n,
        "image_id": 70 + n,
        "keypoints": [x for k in range(4) for x in (10 * n, k, 2 * (k != 2))],
      }
      for n in range(people)
    ],
    "categories": [
      {"id": 1, "name": "cat", "keypoints": names, "skeleton": []}
    ],
  }


def test_people_are_spread_and_keypoints_kept_by_name():
  content = finetune.choose(labels(10), WRISTS, 4)
  people = content["annotations"]
  assert [person["id"] for person in people] == [0, 2, 5, 7]
  assert [image["id"] for image in content["images"]] == [70, 72, 75, 77]
  assert people[1]["keypoints"] == [20, 3, 2, 20, 0, 2]
  assert people[1]["num_keypoints"] == 2
  assert content["categories"][0] == {
    "id": 1,
    "name": "cat",
    "keypoints": list(WRISTS),
  }
  assert finetune.choose(labels(10), (), 0) == labels(10)
  with pytest.raises(ValueError, match=r"there are 10 people .*, got 11"):
    finetune.choose(labels(10), (), 11)


def test_lengths_are_those_of_all_labels():
  task = finetune.Task("cats", WRISTS, ("left_wrist", "right_wrist"), ())
  got = finetune.reference_lengths(labels(3), task, np.array([2, 0]))
  np.testing.assert_array_equal(got, [3.0, 3.0])
  task = task._replace(reference=("nose", "tail"))
  got = finetune.reference_lengths(labels(3), task, np.array([1]))
  assert np.isnan(got).all()


def line(start, seed, value, people=100):
  return {
    "cell": {"task": "faces", "people": people, "start": start, "seed": seed},
    "metrics": {"NME": value},
    "commit": "abc",
    "machine": "a machine",
  }


def test_the_table_takes_differences_seed_by_seed():
  cells = [
    finetune.Cell("faces", people, start, seed)
    for people in (100, 1000)
    for start in finetune.STARTS
    for seed in (0, 1)
  ]
  lines = [line("scratch", 0, 9.0), line("scratch", 1, 11.0)]
  lines += [line("pretrained", 0, 6.0), line("pretrained", 1, 7.5)]
  rows = finetune.table(lines, cells).splitlines()
  # Gaps are -3 and -3.5.
  assert rows[2] == (
    "| faces | 100 | NME | 10.00 ± 1.41 | 6.75 ± 1.06 | -3.25 ± 0.35 |"
  )
  assert rows[3] == "| faces | 1000 | NME | not run | not run | not run |"
  assert rows[-1] == "Commit abc; a machine."


def test_fields_of_other_versions_are_no_other_recipe():
  cell, config = finetune.Cell("faces", 100, "scratch", 0), load("quickstart")
  before = finetune.recipe(config)
  assert not [name for name in before if name.startswith("data.")]
  lines = [{"cell": cell._asdict(), "recipe": {**before, "loss.gone": 1}}]
  del lines[0]["recipe"]["train.remat"]
  finetune.check_recipes(lines, {cell: config})
  finetune.check_recipes(lines, {})  # of a cell that is not asked for
  config.optimizer.decay = 0.5
  with pytest.raises(ValueError, match=r"another recipe \(optimizer\.decay\)"):
    finetune.check_recipes(lines, {cell: config})


@pytest.mark.usefixtures("optax_promotion")
@pytest.mark.filterwarnings("ignore:.*:DeprecationWarning")
def test_a_tiny_run_goes_on_and_is_not_mixed_with_another(tmp_path):
  for split, people in (("train", 10), ("test", 5)):
    dataset.write_dataset(
      tmp_path / "lsp", num_people=people, seed=3, split=split
    )
  tiny_weights.save(tmp_path / "weights")
  results = tmp_path / "runs" / "results.jsonl"

  def start(seeds, *more):
    return commands.run(
      "finetune",
      "--config=lsp_hrnet_small_128x96",
      f"--workdir={tmp_path / 'runs'}",
      f"--data={tmp_path}",
      f"--pretrained={tmp_path / 'weights'}",
      "--tasks=limbs",
      "--people=8",
      "--test_people=4",
      "--config.train.batch_size=4",
      "--config.evaluate.batch_size=4",
      f"--seeds={seeds}",
      *more,
    )

  done = start(1, "--steps=2")
  assert done.returncode == 0, done.stderr
  lines = [json.loads(text) for text in results.read_text().splitlines()]
  assert [one["cell"]["start"] for one in lines] == list(finetune.STARTS)
  for one in lines:
    assert one["metrics"].keys() == {"NME", "PCK@0.2", "PCK@0.05"}
    assert np.isfinite(list(one["metrics"].values())).all()
    assert one["recipe"]["model.overrides.channels"] == 4
    assert one["recipe"]["convention.crop_size"] == [64, 64]
  assert lines[0]["metrics"] != lines[1]["metrics"]
  page = tmp_path / "page.md"
  page.write_text(
    "<!-- reproduce finetune: begin --><!-- reproduce finetune: end -->"
  )
  before = results.read_bytes()
  done = start(1, "--steps=2", f"--report={page}")
  assert done.returncode == 0, done.stderr
  assert results.read_bytes() == before
  assert done.stdout.strip() in page.read_text()
  assert (tmp_path / "runs" / "table.md").read_text() == done.stdout
  for other, field in (
    ("--steps=4", "train.epochs"),
    ("--test_people=5", "labels"),
  ):
    done = start(1, "--steps=2", other)
    assert done.returncode == 2
    assert "trained with another recipe (" in done.stderr
    assert field in done.stderr
  assert results.read_bytes() == before
