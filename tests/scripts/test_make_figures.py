"""The scripts of the pages: their numbers, and that every picture is theirs."""

import re

import compare_decoders
import make_figures
import numpy as np
import page_figures
import PIL.Image
import pytest
from conventions import make_convention
from paths import ROOT

from darkjax.data.synthetic import dataset
from darkjax.heatmaps.encode import render_heatmaps

CONVENTION = make_convention()


@pytest.fixture
def maps(rng):
  """Perfect maps of 20 people, but that person 0's are 5 px off."""
  truth = rng.uniform(4, 18, (20, 17, 2)).astype(np.float32)
  drawn = truth + np.float32([5, 0]) * (np.arange(20) == 0)[:, None, None]
  image_from_heatmap = np.float32([[4, 0, 10], [0, 4, 20]])
  return compare_decoders.Maps(
    heatmaps=np.asarray(render_heatmaps(drawn, size=(32, 24), sigma=1.0)),
    truth=truth,
    labelled=np.ones((20, 17), bool),
    image_from_heatmap=np.tile(image_from_heatmap, (20, 1, 1)),
    image_ids=np.ones(20, int),
    convention=CONVENTION,
  )


def test_errors_of_each_decoder(maps):
  errors = compare_decoders.errors(maps)
  heatmap, image = errors["DARK, k = 1"]
  assert heatmap.shape == image.shape == (20 * 17,)
  np.testing.assert_allclose(heatmap[:17], 5, atol=1e-3)
  np.testing.assert_allclose(heatmap[17:], 0, atol=1e-4)  # float32 logs
  np.testing.assert_allclose(image, 4 * heatmap, atol=1e-4)
  rows = {name: cells for name, *cells in compare_decoders.rows(maps)}
  # A twentieth is 5 cells of 4 px off, the rest is exact; "near" leaves it out.
  assert rows["DARK, k = 1"] == ["1.00", "0.000", "95.0 %", "95.0 %"]
  # Uniform in a cell: mean 0.3826 px (by integration); 323 keypoints.
  assert float(rows["argmax"][1]) == pytest.approx(0.383, abs=0.03)


def test_unlabelled_keypoints_do_not_count(maps):
  labelled = maps.labelled.copy()
  labelled[0] = False
  rows = compare_decoders.rows(maps._replace(labelled=labelled))
  assert dict((name, cells) for name, *cells in rows)["DARK, k = 1"] == [
    "0.00",
    "0.000",
    "100.0 %",
    "100.0 %",
  ]


def test_maps_are_written_as_pytorch_has_them(maps, tmp_path):
  compare_decoders.write_heatmaps(str(tmp_path / "a.npz"), maps)
  stored = np.load(tmp_path / "a.npz")
  assert stored["heatmaps"].shape == (20, 17, 32, 24)
  np.testing.assert_array_equal(
    stored["heatmaps"][3, 5], maps.heatmaps[3, ..., 5]
  )


def test_columns_of_a_heatmap_in_the_crop():
  columns = page_figures.columns_in_crop
  np.testing.assert_allclose(columns("hrnet", 16, 4), [0, 4, 8, 12])
  np.testing.assert_allclose(columns("dark", 16, 4), [0, 5, 10, 15])


def test_every_picture_is_rebuilt():
  drawn = set(make_figures.DRAWINGS).union(*make_figures.PICTURES.values())
  paths = [*(ROOT / "docs").glob("*.*g"), *(ROOT / "docs/results").glob("*.*g")]
  stored = {path.name for path in paths}
  plots = {name for name in stored if name.startswith("reproduce_")}
  assert drawn == stored - plots  # plots are reproduce.py's, from its runs
  named = set()
  for page in (ROOT / "README.md", *(ROOT / "docs").rglob("*.md")):
    text = page.read_text()
    named |= set(re.findall(r"([\w-]+\.(?:png|jpg))\)", text))
    named |= set(re.findall(r'<img src="([\w-]+\.\w+)"', text))
  assert stored == named


def test_pictures_of_a_network_that_makes_no_mistake(tmp_path, monkeypatch):
  """Every picture, from the labels' own heatmaps in place of a network's."""
  dataset.write_dataset(tmp_path, num_people=12, seed=0, split="val")
  monkeypatch.setattr(compare_decoders, "predict_maps", perfect_maps)
  paths = (
    tmp_path / "annotations/person_keypoints_val.json",
    tmp_path / "images",
  )
  monkeypatch.setattr(compare_decoders, "data_paths", lambda *_: paths)
  found = make_figures.Predictions("unused")
  dark = np.asarray(found.keypoints["dark"].keypoints_image)
  # px of the image. A cell is 4 to 8 px for people of up to 200 px, and the
  # blur costs 0.0015 cells; more at the border of the map.
  error = np.linalg.norm(dark - found.truth, axis=-1)[found.maps.labelled]
  assert np.median(error) < 0.02
  runs = make_figures.PICTURES.values()
  for name, draw in (item for pictures in runs for item in pictures.items()):
    make_figures.save(draw(found), tmp_path / name)
    picture = PIL.Image.open(tmp_path / name)
    assert np.asarray(picture.convert("L")).std() > 1, name


def perfect_maps(directory, annotations, images):
  from darkjax.data.coco import prepare
  from darkjax.data.pipeline import batches

  source = prepare.load(annotations, images, cache_dir=str(images) + "_cache")
  batch = next(
    iter(batches.eval_batches(source, CONVENTION, batch_size=source.num_people))
  )
  points = np.nan_to_num(batch["keypoints_heatmap"], nan=-99.0)
  return compare_decoders.Maps(
    heatmaps=np.asarray(render_heatmaps(points, size=(32, 24), sigma=1.0)),
    truth=batch["keypoints_heatmap"],
    labelled=batch["visibility"] > 0,
    image_from_heatmap=batch["image_from_heatmap"],
    image_ids=batch["image_id"],
    convention=CONVENTION,
  )
