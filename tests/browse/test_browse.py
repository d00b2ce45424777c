"""The sheet of what a configuration trains on."""

import commands
import numpy as np
import PIL.Image
from paths import ROOT

from darkjax.data.synthetic import dataset


def browse(folder, *flags):
  return commands.run(
    "browse",
    f"--config={ROOT / 'tests' / 'tiny_config.py'}",
    f"--config.data.root={folder}",
    f"--config.data.cache={folder / 'cache'}",
    f"--out={folder / 'sheet.png'}",
    *flags,
  )


def test_the_sheet_shows_the_people_of_a_step(tmp_path):
  for split, people in (("train", 6), ("val", 2)):
    dataset.write_dataset(tmp_path, num_people=people, seed=3, split=split)
  done = browse(tmp_path, "--count=5", "--columns=3")
  assert done.returncode == 0, done.stderr
  # Batches of 4: four people, and one of the next.
  ids = [line.split(": ")[1].split() for line in done.stdout.splitlines()]
  assert [len(row) for row in ids] == [4, 4, 1, 1]
  sheet = PIL.Image.open(tmp_path / "sheet.png")
  crop = 64  # px a side
  assert sheet.size == (3 * (2 * crop + 4) + 2 * 4, 2 * crop + 4)
  first, drawn = (
    np.asarray(sheet)[:crop, x : x + crop].astype(int) for x in (0, crop + 4)
  )
  assert np.abs(first - drawn).max() > 100  # targets, and limbs
  again = browse(tmp_path, "--count=1", "--step=1")
  assert again.stdout.splitlines()[1] == "annotation_id: " + ids[3][0]


def test_wrong_inputs_are_one_line(tmp_path):
  done = browse(tmp_path)
  assert done.returncode == 2
  assert "no annotation file" in done.stderr


def test_a_step_before_the_first_is_one_line(tmp_path):
  done = browse(tmp_path, "--step=-1")
  assert done.returncode != 0
  assert "--step" in done.stderr
  assert "Traceback" not in done.stderr
