"""One process: a shard's rows are the photographs, read or not."""

import json
import os
import pathlib

import numpy as np
import PIL.Image
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tiny_weights

from darkjax.inference.pose import Pose
from darkjax.predict.many import worker
from darkjax.predict.many.shards import Shard


@pytest.fixture(scope="module")
def settings(tmp_path_factory):
  folder = tmp_path_factory.mktemp("weights")
  tiny_weights.save(folder)
  return worker.Settings(
    checkpoint=str(folder),
    detector=None,
    min_box_score=None,
    method=None,
    border="refine",
    flip_test=False,
    nms="hard",
    batch_size=2,
  )


def write_photographs(folder, rng, count: int) -> list[str]:
  paths = [str(folder / f"{n}.png") for n in range(count)]
  for path in paths:
    pixels = rng.integers(0, 256, (60, 50, 3), np.uint8)
    PIL.Image.fromarray(pixels).save(path)
  return paths


def predict(settings, folder, shard: Shard) -> tuple[dict, pa.Table]:
  counts = worker.Worker(settings, folder)({"number": 3, **shard._asdict()})
  return counts, pq.read_table(folder / "part-000003.parquet")


def test_rows_are_the_photographs_with_what_pose_finds(settings, tmp_path, rng):
  paths = write_photographs(tmp_path, rng, 3)
  (tmp_path / "1.png").write_text("no picture")
  paths.insert(1, str(tmp_path / "gone.jpg"))
  counts, table = predict(settings, tmp_path, Shard(paths))
  assert counts == {"photographs": 4, "people": 2, "errors": 2}
  rows = table.to_pylist()
  assert [row["path"] for row in rows] == paths
  assert [row["error"] is None for row in rows] == [True, False, False, True]
  assert "gone.jpg" in rows[1]["error"]
  assert "1.png is not an image" in rows[2]["error"]
  assert [len(row["people"]) for row in rows] == [1, 0, 0, 1]
  assert (rows[0]["height"], rows[0]["width"]) == (60, 50)
  assert rows[1]["height"] is None
  options = {"flip_test": False, "batch_size": 2}
  pose = Pose.from_checkpoint(settings.checkpoint, **options)
  for row in (rows[0], rows[3]):
    (person,), (found,) = pose(row["path"]), row["people"]
    keypoints = np.reshape(found["keypoints"], (17, 3))
    np.testing.assert_array_equal(keypoints[:, :2], person.keypoints_image)
    np.testing.assert_array_equal(keypoints[:, 2], person.scores)
    covariances = np.reshape(found["covariances"], (17, 3))
    np.testing.assert_array_equal(
      covariances[:, 0], person.covariances[:, 0, 0]
    )
    np.testing.assert_array_equal(
      covariances[:, 1], person.covariances[:, 0, 1]
    )
    np.testing.assert_array_equal(
      covariances[:, 2], person.covariances[:, 1, 1]
    )
    assert found["bbox"] == [0, 0, 50, 60]
    assert found["box_score"] == 1
  about = json.loads(table.schema.metadata[b"darkjax"])
  assert about["keypoints"] == list(pose.convention.skeleton.keypoint_names)
  assert about["checkpoint"] == settings.checkpoint


def test_a_name_that_is_no_text_is_written_escaped(settings, tmp_path):
  path = os.path.join(tmp_path, os.fsdecode(b"caf\xe9.jpg"))
  _, table = predict(settings, tmp_path, Shard([path]))
  (row,) = table.to_pylist()
  assert row["path"] == str(tmp_path / r"caf\udce9.jpg")
  assert r"no image file" in row["error"]
  assert r"caf\udce9.jpg" in row["error"]


def test_images_in_parquet_are_read_as_their_files(settings, tmp_path, rng):
  (path,) = write_photographs(tmp_path, rng, 1)
  _, expected = predict(settings, tmp_path, Shard([path]))
  encoded = [pathlib.Path(path).read_bytes(), b"", b"no picture"]
  file = str(tmp_path / "images.parquet")
  pq.write_table(pa.table({"image": encoded}), file)
  _, table = predict(settings, tmp_path, Shard([], file, 0, "image"))
  good, empty, bad = table.to_pylist()
  np.testing.assert_equal(good["people"], expected.to_pylist()[0]["people"])
  for row, n in ((empty, 1), (bad, 2)):
    expected_error = f"{file}:0:{n} is not an image that can be read"
    assert row["error"].startswith(expected_error)


def test_photographs_of_phones_in_parquet_are_read(
  settings, tmp_path, monkeypatch
):
  pillow_heif = pytest.importorskip("pillow_heif")
  path = tmp_path / "a.heic"
  picture = PIL.Image.new("RGB", (64, 48), (90, 120, 30))
  pillow_heif.from_pillow(picture).save(path, quality=90)
  # As in a new process, where no file has been read.
  monkeypatch.delitem(PIL.Image.OPEN, "HEIF", raising=False)
  file = str(tmp_path / "images.parquet")
  pq.write_table(pa.table({"image": [path.read_bytes()]}), file)
  _, table = predict(settings, tmp_path, Shard([], file, 0, "image"))
  (row,) = table.to_pylist()
  assert row["error"] is None
  assert (row["height"], row["width"]) == (48, 64)
