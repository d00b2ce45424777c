"""DeepLabCut's tables: csv and h5 with the same content, and damaged ones."""

import pickle

import commands
import label_projects as projects
import numpy as np
import pytest

from darkjax.convert.formats import deeplabcut, keypoint_table, pandas_h5

FORMATS = ("fixed", "table")


def frame(several: bool, cells: bool):
  """A DataFrame as DeepLabCut makes it."""
  pandas = pytest.importorskip("pandas")
  pytest.importorskip("tables")
  columns = [("me", b, c) for b in ("nose", "tail", "ear") for c in "xy"]
  levels = ["scorer", "bodyparts", "coords"]
  if several:
    columns = [
      *(("me", i, b, c) for i in ("m1", "m2") for _, b, c in columns),
      *(("me", "single", "nest", c) for c in "xy"),
    ]
    levels.insert(1, "individuals")
  paths = [
    ("labeled-data", v, f"img{k}.png") for v, k in (("a", 1), ("bb", 22))
  ]
  index = paths if cells else ["/".join(path) for path in paths]
  if cells:
    index = pandas.MultiIndex.from_tuples(paths)
  values = np.arange(2.0 * len(columns)).reshape(2, -1) + 0.25
  values[0, 2:4] = np.nan
  named = pandas.MultiIndex.from_tuples(columns, names=levels)
  return pandas.DataFrame(values, index=index, columns=named)


@pytest.mark.filterwarnings("ignore:::tables", "ignore:::pandas")
@pytest.mark.parametrize("several", [False, True])
@pytest.mark.parametrize(
  ("cells", "kind"), [(False, "fixed"), (False, "table"), (True, "fixed")]
)
def test_h5_and_csv_of_pandas_are_the_same(tmp_path, several, cells, kind):
  """pandas writes no table with cells for its paths."""
  content = frame(several, cells)
  # A block of its own, out of the order of the columns.
  content[content.columns[1]] = content[content.columns[1]].astype(int)
  content.to_hdf(tmp_path / "a.h5", key="df_with_missing", format=kind)
  content.to_csv(tmp_path / "a.csv")
  first = deeplabcut.read_table(tmp_path / "a.h5")
  second = deeplabcut.read_table(tmp_path / "a.csv")
  assert first.columns == second.columns
  assert first.images == second.images
  assert first.images[1] == "labeled-data/bb/img22.png"
  np.testing.assert_array_equal(first.values, second.values)
  np.testing.assert_array_equal(first.values, content.to_numpy())


@pytest.mark.filterwarnings("ignore:::tables", "ignore:::pandas")
def test_a_project_of_h5_files(tmp_path):
  folder = projects.deeplabcut(tmp_path)
  path = folder / "labeled-data" / "one" / "CollectedData_Ann.csv"
  pandas = pytest.importorskip("pandas")
  pytest.importorskip("tables")
  content = pandas.read_csv(path, header=[0, 1, 2], index_col=0)
  content.to_hdf(path.with_suffix(".h5"), key="df_with_missing", mode="w")
  path.unlink()
  done = commands.run("convert", folder, f"--out={tmp_path / 'train.json'}")
  assert "2 images, 2 people, 4 labelled keypoints" in done.stdout
  found = projects.keypoints(projects.read_json(tmp_path / "train.json"))
  assert "labeled-data/one/img001.png" in found


def test_nothing_in_an_h5_is_run():
  """Names of columns are pickled; a class in them is refused."""
  with pytest.raises(pickle.UnpicklingError, match="hold a"):
    pandas_h5._unpickle(pickle.dumps(print, 0))
  assert pandas_h5._unpickle(pickle.dumps([("a", "x")], 0)) == [("a", "x")]


# What is done to the lines of a csv, and what is said.
DAMAGED = {
  "likelihood": (
    lambda lines: [*lines[:2], lines[2].replace("y", "likelihood"), *lines[3:]],
    "what a network predicted",
  ),
  "frames": (
    lambda lines: [*lines[:3], "7," + lines[3].partition(",")[2]],
    "expected the name of an image in each row, got '7'",
  ),
  "text": (
    lambda lines: [*lines[:3], lines[3].replace("20.5", "twenty")],
    "row 4: could not convert string to float: 'twenty'",
  ),
  "short": (
    lambda lines: [*lines[:3], lines[3].rpartition(",")[0]],
    "row 4 has 5 cells of coordinates, the head 6",
  ),
  "head": (
    lambda lines: [lines[0], lines[1] + ",ear", *lines[2:]],
    "rows of different lengths at the top",
  ),
  "3D": (
    lambda lines: [*lines[:2], lines[2].replace("y", "z"), *lines[3:]],
    "expected coords x and y",
  ),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_damaged_tables_are_refused(tmp_path, name):
  path = projects.lightning_pose(tmp_path)
  damage, message = DAMAGED[name]
  path.write_text("\n".join(damage(path.read_text().splitlines())))
  with pytest.raises(ValueError, match=message):
    keypoint_table.read_csv(path)


def test_names_that_pandas_made_up(tmp_path):
  """As in lightning-pose's tests/CollectedData_dummy.csv: no scorer."""
  path = projects.lightning_pose(tmp_path)
  lines = path.read_text().splitlines()
  lines[0] = "scorer," + ",".join(f"Unnamed: {k}_level_0" for k in range(1, 7))
  path.write_text("\n".join(lines))
  assert len(keypoint_table.read_csv(path).images) == 2


def test_the_same_image_twice_counts_once(tmp_path):
  path = projects.lightning_pose(tmp_path)
  lines = path.read_text().splitlines()
  path.write_text("\n".join([*lines, lines[-1]]))
  done = commands.run("convert", path, f"--out={tmp_path / 'train.json'}")
  assert "left out: 1 rows of an image that has one already" in done.stdout
  assert "2 images, 2 people" in done.stdout


@pytest.mark.filterwarnings("ignore:::tables", "ignore:::pandas")
def test_h5_is_read_before_csv_and_differences_are_warned_of(tmp_path):
  pandas = pytest.importorskip("pandas")
  pytest.importorskip("tables")
  source = projects.deeplabcut(tmp_path)
  path = source / "labeled-data" / "one" / "CollectedData_Ann.csv"
  data = pandas.read_csv(path, header=[0, 1, 2], index_col=0)
  data.to_hdf(path.with_suffix(".h5"), key="keypoints", mode="w")
  done = commands.run("convert", source, f"--out={tmp_path / 'a.json'}")
  assert "other labels" not in done.stdout
  (data + 3).to_hdf(path.with_suffix(".h5"), key="keypoints", mode="w")
  out = tmp_path / "b.json"
  done = commands.run("convert", source, f"--out={out}")
  assert "CollectedData_Ann.h5 is read, whose .csv has other" in done.stdout
  assert done.returncode == 1
  x, y = projects.read_json(out)["annotations"][0]["keypoints"][:2]
  assert [x - 3, y - 3] == projects.FIRST[0]
