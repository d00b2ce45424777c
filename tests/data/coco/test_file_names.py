"""Images of a json that are found by the names that tools write."""

import json

import coco_folder
import pytest

from darkjax.data.coco import prepare

# As written by labelling tools for images/1.jpg, 2.jpg and 3.jpg.
WRITTEN = {
  "windows": "images\\{}.jpg",
  "current folder": "./{}.jpg",
  "url": "https://example.org/data/upload/4/{}.jpg?token=1",
  "label studio": "/data/local-files/?d=photos%2F{}.jpg",
  "media": "..\\..\\label-studio\\media\\upload\\4\\{}.jpg",
  "another machine": "C:\\Users\\me\\{}.jpg",
  "capitals": "{}.JPG",
  "ids": "{}",
}


@pytest.mark.parametrize("name", WRITTEN)
def test_images_are_found_as_tools_name_them(tmp_path, name, caplog):
  annotations, images = coco_folder.write(tmp_path)
  what = json.loads(annotations.read_text())
  for entry in what["images"]:
    entry["file_name"] = WRITTEN[name].format(entry["id"])
  annotations.write_text(json.dumps(what))
  for folder in (images, tmp_path):
    dataset = prepare.load(annotations, folder, cache_dir=tmp_path / "cache")
    for record in dataset.dataset().as_numpy_iterator():
      file = images / f"{record['image_id']}.jpg"
      assert record["image"] == file.read_bytes()
  assert "3 images are found by another name, such as" in caplog.text


def test_names_that_fit_several_files_or_none_are_errors(tmp_path):
  annotations, images = coco_folder.write(tmp_path)
  (images / "sub").mkdir()
  (images / "2.jpg").rename(images / "sub/2.jpg")
  (images / "sub/2.JPG").write_bytes(b"")
  what = json.loads(annotations.read_text())
  what["images"][1]["file_name"] = "2"
  annotations.write_text(json.dumps(what))
  with pytest.raises(FileNotFoundError, match=r"may be any of|nearest name"):
    prepare.load(annotations, images, cache_dir=tmp_path / "cache")
  what["images"][1]["file_name"] = "x1.jpg"
  annotations.write_text(json.dumps(what))
  with pytest.raises(
    FileNotFoundError, match=r"x1\.jpg cannot be read .*nearest name is 1\.jpg"
  ):
    prepare.load(annotations, images, cache_dir=tmp_path / "cache")
