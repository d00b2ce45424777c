"""Broken files: a named error, or a skip that is counted and bounded."""

import io
import json
import logging
import struct
import warnings
import zlib

import coco_folder
import numpy as np
import PIL.Image
import pytest

from darkjax.data.coco import prepare, reader, unreadable
from darkjax.data.images import encoded as images
from darkjax.data.images import photo as image_lib
from darkjax.data.pipeline import tf_crop
from darkjax.evaluate import scores

SKIP = unreadable.SkipPolicy("skip", max_skipped=0.25)


def encoded(kind: str, mode: str, size=(64, 48), **options) -> bytes:
  pixels = PIL.Image.fromarray(coco_folder.image(*size)).convert(mode)
  buffer = io.BytesIO()
  pixels.save(buffer, kind, **options)
  return buffer.getvalue()


def png_claiming(width: int, height: int) -> bytes:
  """A PNG whose header claims a size, with its checksum right."""
  data = bytearray(encoded("png", "RGB"))
  data[16:24] = struct.pack(">II", width, height)
  data[29:33] = struct.pack(">I", zlib.crc32(data[12:29]))
  return bytes(data)


def jpeg_claiming(width: int, height: int) -> bytes:
  data = bytearray(encoded("jpeg", "RGB"))
  start = data.index(b"\xff\xc0") + 5  # start of frame: after length and depth
  data[start : start + 4] = struct.pack(">HH", height, width)
  return bytes(data)


BROKEN = {
  "vanished": (None, "2.jpg cannot be read"),
  "truncated jpeg": (encoded("jpeg", "RGB")[:700], "ends early, after 700"),
  "truncated png": (encoded("png", "RGB")[:-40], "cannot be decoded"),
  "text": (b"<html>404</html>", "not an image that can be read"),
  "empty": (b"", "not an image that can be read"),
  "another size": (encoded("jpeg", "RGB", (60, 48)), "should be 48x64 px"),
  "png bomb": (png_claiming(40_000, 40_000), "40000|limit"),
  "large png": (png_claiming(9_500, 9_500), "claims 9500x9500.*limit"),
  "jpeg bomb": (jpeg_claiming(65_500, 65_500), "65500|limit"),
}


def folder_with(path, data: bytes | None, num_images: int = 8):
  """Eight images of one person each, the second replaced or removed."""
  annotations, folder = coco_folder.write(
    path, coco_folder.content(num_images=num_images)
  )
  (folder / "2.jpg").unlink()
  if data is not None:
    (folder / "2.jpg").write_bytes(data)
  return annotations, folder


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("name", BROKEN)
def test_an_unreadable_image_is_an_error_or_a_counted_skip(
  tmp_path, caplog, name
):
  data, message = BROKEN[name]
  annotations, folder = folder_with(tmp_path, data)
  cache = tmp_path / "cache"
  with pytest.raises((FileNotFoundError, ValueError), match=message):
    prepare.load(annotations, folder, cache_dir=cache)
  with caplog.at_level(logging.WARNING):
    source = prepare.load(
      annotations, folder, cache_dir=cache, skip_policy=SKIP
    )
  assert source.people.annotation_id.tolist() == [101, *range(103, 109)]
  assert "skipped image 2.jpg" in caplog.text
  assert "1 people on 1 images that cannot be read (ids [2])" in caplog.text


def test_a_skip_is_counted_again_when_the_records_are_found(tmp_path, caplog):
  annotations, folder = folder_with(tmp_path, None)
  options = {"cache_dir": tmp_path / "cache", "skip_policy": SKIP}
  prepare.load(annotations, folder, **options)
  caplog.clear()
  with caplog.at_level(logging.WARNING):
    prepare.load(annotations, folder, **options)
  assert "skipped image 2.jpg" in caplog.text
  assert "1 people on 1 images that cannot be read" in caplog.text
  # By hand: one image of eight is a share of 0.125.
  options["skip_policy"] = unreadable.SkipPolicy("skip", max_skipped=0.12)
  with pytest.raises(ValueError, match=r"1 of 8 images.*max_skipped=0\.12"):
    prepare.load(annotations, folder, **options)


def test_a_skipped_image_is_used_once_it_is_repaired(tmp_path):
  annotations, folder = folder_with(tmp_path, None)
  (folder / "3.jpg").unlink()
  options = {"cache_dir": tmp_path / "cache", "skip_policy": SKIP}
  source = prepare.load(annotations, folder, **options)
  assert source.num_people == 6
  (folder / "3.jpg").write_bytes(encoded("jpeg", "RGB"))
  repaired = prepare.load(annotations, folder, **options)
  assert repaired.people.annotation_id.tolist() == [101, *range(103, 109)]
  (folder / "2.jpg").write_bytes(encoded("jpeg", "RGB"))
  options["skip_policy"] = unreadable.SkipPolicy("skip", max_skipped=0)
  assert prepare.load(annotations, folder, **options).num_people == 8


def test_ids_of_skipped_images_are_those_of_the_file(tmp_path, caplog):
  content = coco_folder.content(num_images=8)
  for image in content["images"]:
    image["id"] = f"photo {image['id']}"
  for person in content["annotations"]:
    person["image_id"] = f"photo {person['image_id']}"
  annotations, folder = coco_folder.write(tmp_path, content)
  (folder / "2.jpg").unlink()
  with caplog.at_level(logging.WARNING):
    prepare.load(annotations, folder, cache_dir=tmp_path, skip_policy=SKIP)
  assert "cannot be read (ids ['photo 2'])" in caplog.text


def test_too_many_skips_end_the_preparation(tmp_path):
  annotations, folder = folder_with(tmp_path, None)
  for n in (3, 4):
    (folder / f"{n}.jpg").unlink()
  with pytest.raises(ValueError, match=r"3 of 8 images.*share.*0\.25"):
    prepare.load(annotations, folder, cache_dir=tmp_path, skip_policy=SKIP)
  assert not list(tmp_path.rglob("*array_record*"))


def test_what_was_skipped_is_no_part_of_a_run_that_raises(tmp_path):
  annotations, folder = folder_with(tmp_path, b"text")
  cache = tmp_path / "cache"
  prepare.load(annotations, folder, cache_dir=cache, skip_policy=SKIP)
  with pytest.raises(ValueError, match=r"2\.jpg"):
    prepare.load(annotations, folder, cache_dir=cache)
  coco_folder.write(tmp_path, coco_folder.content(num_images=8))
  assert prepare.load(annotations, folder, cache_dir=cache).num_people == 8


def test_people_on_skipped_images_are_missed_in_ap(tmp_path):
  annotations, folder = folder_with(tmp_path, b"text")
  source = prepare.load(
    annotations, folder, cache_dir=tmp_path, skip_policy=SKIP
  )
  found = source.people
  truth, visible = found.keypoints[..., :2], found.keypoints[..., 2]
  people = scores.DatasetPredictions(
    image_ids=found.image_id,
    annotation_ids=found.annotation_id,
    box_scores=np.ones(7),
    box_areas=np.full(7, 2000.0),
    truth=truth,
    visible=visible,
    keypoint_scores=np.ones((7, 3)),
    keypoints={"dark": truth},
    covariances={},
  )
  metrics = scores.score(people, annotations, source.skeleton)
  # By hand: seven of eight, all exact. Precision is 1 at the recalls 0, 0.01,
  # ... 0.87 of COCO's 101.
  assert metrics["dark/AR/gt_boxes"] == pytest.approx(100 * 7 / 8)
  assert metrics["dark/AP/gt_boxes"] == pytest.approx(100 * 88 / 101)


@pytest.mark.parametrize(
  "bad", [{"on_error": "ignore"}, {"max_skipped": 1.5}, {"max_skipped": -1}]
)
def test_skip_policies_are_checked(bad):
  with pytest.raises(ValueError, match=f"data.{next(iter(bad))}.*got"):
    unreadable.SkipPolicy(**bad)


def test_labels_edited_during_a_run_are_noticed(tmp_path):
  annotations, folder = coco_folder.write(tmp_path)
  source = prepare.load(annotations, folder, cache_dir=tmp_path / "cache")
  source.check_labels()
  text = annotations.read_text()
  annotations.write_text(text.replace("30.0", "31.0"))
  with pytest.raises(ValueError, match=r"annotations\.json was edited"):
    source.check_labels()
  annotations.write_text(text)
  source.check_labels()
  annotations.unlink()
  with pytest.raises(ValueError, match="edited or removed"):
    source.check_labels()


def test_labels_edited_while_they_are_read_are_noticed(tmp_path, monkeypatch):
  annotations, folder = coco_folder.write(tmp_path)
  read = reader.read_annotations

  def edits_after_reading(path, **options):
    content = read(path, **options)
    annotations.write_text(annotations.read_text() + " ")
    return content

  monkeypatch.setattr(reader, "read_annotations", edits_after_reading)
  with pytest.raises(ValueError, match="changed while it was read"):
    prepare.load(annotations, folder, cache_dir=tmp_path / "cache")


@pytest.mark.parametrize(
  "file", ["people.npz", "dataset_info.json", "features.json"]
)
@pytest.mark.parametrize("left", [0, 40])
def test_damaged_files_beside_the_records_are_named(tmp_path, file, left):
  annotations, folder = coco_folder.write(tmp_path)
  prepare.load(annotations, folder, cache_dir=tmp_path / "cache")
  (path,) = (tmp_path / "cache").rglob(file)
  path.write_bytes(path.read_bytes()[:left])
  with pytest.raises(ValueError, match=r"coco_keypoints.* damaged.*delete"):
    prepare.load(annotations, folder, cache_dir=tmp_path / "cache")


def turned(orientation: int) -> bytes:
  exif = PIL.Image.Exif()
  exif[0x0112] = orientation
  return encoded("jpeg", "RGB", exif=exif)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_training_takes_the_pixels_as_stored(tmp_path, orientation):
  path = tmp_path / "turned.jpg"
  path.write_bytes(turned(orientation))
  data, header = images.read_image(path)
  assert header.stored_size == (64, 48)
  np.testing.assert_array_equal(
    tf_crop.decode_image(data), image_lib.read(path, upright=False)
  )
  upright = image_lib.read(path)
  assert upright.shape[:2] == ((48, 64) if orientation > 4 else (64, 48))


def test_a_size_after_exif_rotation_is_explained(tmp_path):
  annotations, folder = folder_with(tmp_path, turned(6))
  what = json.loads(annotations.read_text())
  what["images"][1].update(height=48, width=64)
  annotations.write_text(json.dumps(what))
  with pytest.raises(ValueError, match=r"EXIF turns it.*give --upright"):
    prepare.load(annotations, folder, cache_dir=tmp_path)


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_bombs_are_refused_before_their_pixels_take_memory(tmp_path):
  import tracemalloc

  path = tmp_path / "bomb.png"
  for width in (9_500, 40_000):
    path.write_bytes(png_claiming(width, width))
    tracemalloc.start()
    with pytest.raises(ValueError, match=r"bomb\.png.*(limit|exceeds)"):
      image_lib.read(path)
    with pytest.raises(ValueError, match=r"bomb\.png.*(limit|exceeds)"):
      images.read_header(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**23  # bytes; its pixels would be 271 MB and 4.8 GB


@pytest.mark.parametrize("width", [9_500, 60_000])
@pytest.mark.parametrize("filters", ["ignore", "error"])
def test_the_limit_named_is_our_own(tmp_path, width, filters):
  # Pillow warns above 89 million pixels and refuses twice as many.
  path = tmp_path / "bomb.png"
  path.write_bytes(png_claiming(width, width))
  message = r"limit of 89478485; shrink it, and its coordinates with it$"
  with warnings.catch_warnings():
    warnings.simplefilter(filters, PIL.Image.DecompressionBombWarning)
    with pytest.raises(ValueError, match=message):
      images.read_header(path)


def test_images_of_the_largest_size_pass():
  side = int(image_lib.MAX_PIXELS**0.5)
  image_lib.check_size((side, side), "largest")
  with pytest.raises(ValueError, match="larger claims"):
    image_lib.check_size((side, side + 2), "larger")


@pytest.mark.parametrize("kind", ["jpeg", "png", "gif", "tiff", "webp", "bmp"])
def test_damaged_bytes_are_read_or_refused_by_name(rng, tmp_path, kind):
  # 60 files of each kind: bytes of a sound one changed, cut out or doubled.
  sound, path = encoded(kind, "RGB"), tmp_path / "damaged"
  messages = []
  for _ in range(60):
    data = bytearray(sound)
    for _ in range(rng.integers(1, 6)):
      start, length = rng.integers(0, len(data)), rng.integers(1, 9)
      new = rng.integers(0, 256, rng.integers(0, 17), np.uint8).tobytes()
      data[start : start + length] = new
    path.write_bytes(data)
    for read in (image_lib.read, images.read_image):
      try:
        read(path)
      except ValueError as error:
        messages.append(str(error))
  assert 0 < len(messages) <= 120
  assert all(str(path) in message for message in messages)
