"""Packs on disk: what they hold, and which are refused."""

import dataclasses
import json
import os
import pathlib
import shutil

import coco_folder
import numpy as np
import PIL.Image
import pytest
import tiny_config
from coco_folder import DOLL
from conventions import make_convention

from darkjax.data import from_config
from darkjax.data.coco import prepare, unreadable
from darkjax.data.pack import batches, build, files
from darkjax.data.pipeline import augment, tf_crop

CONVENTION = make_convention(DOLL, (32, 24))


@pytest.fixture(scope="module")
def dolls(tmp_path_factory):
  """Three people, the first two of them in one image."""
  folder = tmp_path_factory.mktemp("dolls")
  what = coco_folder.content(size=(150, 130))
  what["annotations"][1]["image_id"] = 1
  del what["images"][1]
  return coco_folder.write(folder, what)


@pytest.fixture
def source(dolls, tmp_path):
  return prepare.load(*dolls, cache_dir=tmp_path / "cache")


@pytest.fixture
def pack(source, tmp_path):
  return build.pack(source, tmp_path / "packs" / "dolls", CONVENTION)


def test_canvases_are_parts_of_the_images(source, pack):
  fine = build.pack(
    source, pack.folder.with_name("fine"), CONVENTION, resolution=100.0
  )
  for i, record in enumerate(source.people.record):
    data = source.image_bytes(source.serialized()[record])
    y, x, height, width = fine.layout.window[i]
    image = tf_crop.decode_image(data).numpy()
    part = image[y : y + height, x : x + width]
    np.testing.assert_array_equal(fine.canvas(i), part)
    # Lanczos on smooth colours, at 0.4 of the size: a mean of a few levels.
    shrunk = pack.canvas(i)
    assert (shrunk.shape[:2] < np.array(part.shape[:2])).all()
    np.testing.assert_allclose(shrunk.mean((0, 1)), part.mean((0, 1)), atol=2.0)


def test_a_pack_is_all_a_run_needs_to_know(source, pack):
  found = files.read(pack.folder)
  assert found.skeleton == source.skeleton
  assert found.labels_digest == source.labels_digest
  assert found.annotations.read_bytes() == source.annotations.read_bytes()
  for name, column in vars(source.people).items():
    np.testing.assert_array_equal(getattr(found.people, name), column)
  found.check_pixels()
  found.check_labels()


def test_a_pack_that_fits_is_left_alone_and_another_replaced(source, pack):
  pages = pack.folder / "pages.npy"

  def is_new(*settings, **options):
    os.utime(pages, (0, 0))
    build.pack(source, pack.folder, CONVENTION, *settings, **options)
    return pages.stat().st_mtime > 0

  (pack.folder.parent / ".dolls.part").mkdir()  # as a killed process leaves it
  assert not is_new()
  assert is_new(augment.Augmentation())
  assert not is_new()  # holds what less augmentation shows
  assert is_new(resolution=2.0)
  (pack.folder / "pack.json").write_text("{")  # damaged
  assert is_new()
  assert {path.name for path in pack.folder.parent.iterdir()} == {
    "dolls",
    ".dolls.lock",
  }


def test_a_pack_of_other_limbs_is_replaced(source, pack):
  drawn = dataclasses.replace(DOLL, limbs=((0, 1),))
  other = dataclasses.replace(source, skeleton=drawn)
  again = build.pack(other, pack.folder, CONVENTION)
  assert (pack.skeleton, again.skeleton) == (DOLL, drawn)


def test_packing_stops_before_it_writes(source, tmp_path, monkeypatch):
  with pytest.raises(ValueError, match=r"above 0, got 0\.0"):
    build.pack(source, tmp_path / "new", CONVENTION, resolution=0.0)
  other = tmp_path / "other"
  other.mkdir()
  (other / "notes.txt").write_text("mine")
  with pytest.raises(ValueError, match="is no pack; give another folder"):
    build.pack(source, other, CONVENTION)
  assert (other / "notes.txt").read_text() == "mine"
  usage = files.shutil.disk_usage(tmp_path)
  monkeypatch.setattr(
    files.shutil, "disk_usage", lambda _: usage._replace(free=0)
  )
  with pytest.raises(OSError, match=r"needs 0\.00 GB.*0\.00 GB free"):
    build.pack(source, tmp_path / "new", CONVENTION)
  assert not (tmp_path / "new").exists()


def test_what_is_no_pack_is_refused(pack, tmp_path):
  with pytest.raises(FileNotFoundError, match=r"darkjax\.data\.pack"):
    files.read(tmp_path / "nothing")
  path = pack.folder / "pack.json"
  facts = json.loads(path.read_text())
  for text, message in (
    ('{"format": "webdataset"}', "of the format 'webdataset'"),
    ("[]", "of the format None"),
    (json.dumps(facts | {"version": 1}), "has version 1 of packs"),
    ('{"format":', "is damaged"),
  ):
    path.write_text(text)
    with pytest.raises(ValueError, match=message):
      files.read(pack.folder)


@pytest.mark.parametrize("name", ["people.npz", "canvases.npz", "pages.npy"])
def test_files_that_are_cut_short_are_noticed_at_once(pack, name):
  path = pack.folder / name
  path.write_bytes(path.read_bytes()[:-100])
  with pytest.raises(ValueError, match=r"is damaged .*delete this folder"):
    files.read(pack.folder)


def test_a_changed_pixel_and_a_changed_label_are_noticed(pack):
  pages = pack.folder / "pages.npy"
  content = bytearray(pages.read_bytes())
  # After the header of 128 bytes, in the second person's canvas.
  content[128 + pack.layout.first_page[1] * 3072 + 5] ^= 1
  pages.write_bytes(content)
  labels = pack.annotations
  labels.write_text(labels.read_text() + " ")
  changed = files.read(pack.folder)
  with pytest.raises(ValueError, match="1 canvases changed"):
    changed.check_pixels()
  with pytest.raises(ValueError, match="was edited or removed"):
    changed.check_labels()


def test_the_frame_is_packed(dolls, source, tmp_path):
  annotations, images = dolls
  pair = (annotations.name, str(images))
  folder = files.folder_of(tmp_path / "packs", *pair)
  assert not build.pack(source, folder, CONVENTION).upright
  upright = prepare.load(*dolls, cache_dir=tmp_path / "cache", upright=True)
  assert build.pack(upright, folder, CONVENTION).upright
  config = tiny_config.get_config()
  config.data.update(
    root=str(annotations.parent),
    train=(pair,),
    val=pair,
    source="resident",
    pack=str(tmp_path / "packs"),
  )
  with pytest.raises(ValueError, match=r"packed with data\.upright=True"):
    from_config.read(config)


def test_changes_of_pixels_are_refused(source):
  harder = dataclasses.replace(augment.NONE, blur_probability=0.1)
  with pytest.raises(ValueError, match=r"need data\.source tf"):
    batches.train_batches([source], CONVENTION, harder, batch_size=1, seed=0)


def test_a_folder_is_named_after_all_that_a_pack_is_of():
  for paths, name in (
    (("a/train.json", "images"), "a+train.json@images"),
    (("a_train.json", "images"), "a_train.json@images"),
    (("a+train.json", "images"), "a%2Btrain.json@images"),
    (("a/train.json", "blurred"), "a+train.json@blurred"),
    (("/a/train.json", "./images/"), "+a+train.json@images"),
    (("a/train.labels", "images"), "a+train.labels@images"),
    (("val.json", "images", "a/det.json"), "val.json@images@a+det.json"),
    (("val.json", "images@a", "det.json"), "val.json@images%40a@det.json"),
  ):
    assert files.folder_of("packs", *paths) == pathlib.Path("packs", name)


def test_other_images_are_packed_again(dolls, tmp_path):
  annotations, images = dolls
  images = shutil.copytree(images, tmp_path / "images")
  first, *_ = sorted(images.iterdir())
  whole = first.read_bytes()
  policy = unreadable.SkipPolicy("skip", max_skipped=0.9)

  def packed():
    source = prepare.load(
      annotations, images, cache_dir=tmp_path / "cache", skip_policy=policy
    )
    return build.pack(source, tmp_path / "pack", CONVENTION)

  before = packed()
  first.write_bytes(whole[:100])
  shutil.rmtree(tmp_path / "cache")  # else nobody looks
  assert len(packed().people) < len(before.people)
  first.write_bytes(whole)  # repaired
  assert len(packed().people) == len(before.people)
  with PIL.Image.open(first) as image:
    darker = image.convert("RGB").point(lambda value: value // 4)
  darker.save(first)
  shutil.rmtree(tmp_path / "cache")
  assert packed().pages.sum() < before.pages.sum()
