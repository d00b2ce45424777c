"""What the page shows: people, tables, files, decoders, pictures."""

import dataclasses
import json
import pathlib

import colours
import numpy as np
import PIL.Image
import pytest
import small_network
import some_people

from darkjax import geometry
from darkjax.data.images import photo as photo_lib
from darkjax.demo import decoders, photograph, pictures
from darkjax.demo.page import Answers
from darkjax.inference.people import Person
from darkjax.inference.pose import Pose
from darkjax.inference.predictor import Predictor

SIZE = (120, 160)
LEFT = np.array([[40.3, 25.8], [30.0, 60.4], [52.7, 90.1]])
RIGHT = np.array([[121.6, 40.0], [110.2, 71.3], [128.5, 97.9]])
# Best last, and shown best first.
BOXES = [[15.0, 10.0, 50.0, 100.0], [95.0, 25.0, 50.0, 90.0]]
SCORES = [0.6, 0.9]


def find(image):
  """Nobody in pictures of less than 100 px."""
  count = 2 if image.shape[0] >= 100 else 0
  return np.reshape(BOXES[:count], (-1, 4)), np.array(SCORES[:count])


@pytest.fixture(scope="module")
def pose():
  convention = colours.make_convention()
  predictor = Predictor(colours.Colours(convention), {}, convention)
  return Pose(predictor, batch_size=4, detector=find, return_heatmaps=True)


@pytest.fixture(scope="module")
def whole(pose):
  """Without a detector."""
  convention = pose.convention
  predictor = Predictor(colours.Colours(convention), {}, convention)
  return Pose(predictor, batch_size=4, return_heatmaps=True)


@pytest.fixture
def answers(pose, tmp_path):
  return Answers(pose, str(tmp_path), detector=True)


@pytest.fixture
def photo(tmp_path):
  path = tmp_path / "two people.png"
  PIL.Image.fromarray(colours.paint(SIZE, LEFT, RIGHT)).save(path)
  return str(path)


def read_json(path):
  return json.loads(pathlib.Path(path).read_text())


def opened_size(path):
  with PIL.Image.open(path) as picture:
    return picture.size


def one(pose, photo):
  return photograph.find_people(pose, photo).people[0]


def test_everyone_is_found_with_the_numbers_of_pose(answers, pose, photo):
  found, error = answers.find(photo)
  assert error == ""
  rows = photograph.table(found, 0.0)
  assert [row[:2] for row in rows] == [
    [n, name] for n in (1, 2) for name in ("red", "green", "blue")
  ]
  numbers = np.array([row[2:] for row in rows], float).reshape(2, 3, 3)
  first, second = pose(photo)
  for person, expected in zip(numbers, (first, second), strict=True):
    # Two and three decimals.
    np.testing.assert_allclose(
      person[:, :2], expected.keypoints_image, atol=0.0051
    )
    np.testing.assert_allclose(person[:, 2], expected.scores, atol=0.00051)
  # px of the photograph, of the crops' and the network's interpolation.
  np.testing.assert_allclose(numbers[0, :, :2], RIGHT, atol=0.5)


def test_the_slider_shortens_the_table_and_not_the_files(answers, photo):
  found, _ = answers.find(photo)
  scores = found.people.scores
  between = float(np.sort(scores, axis=None)[2:4].mean())
  status, drawing, table, _ = answers.show(found, between)
  assert status == (
    f"2 people found. 3 of 6 keypoints have a score of {between:.2f} or more."
  )
  assert table.count("<tr>") == 1 + 3
  everything = answers.show(found, 0.0)
  assert everything[2].count("<tr>") == 1 + 6
  assert (np.asarray(drawing) != np.asarray(everything[1])).any()
  status, _, table, _ = answers.show(found, 1.0)
  assert "No keypoint has a score of 1.00 or more" in status
  assert table.count("<tr>") == 1
  assert len(read_json(answers.write_json(found))) == 2


def test_files_are_cocos_and_as_large_as_the_photograph(answers, pose, photo):
  found, _ = answers.find(photo)
  path = answers.write_json(found)
  assert path.endswith("two people_keypoints.json")
  records = read_json(path)
  assert [record["box_score"] for record in records] == [0.9, 0.6]
  keypoints = np.reshape(records[0]["keypoints"], (3, 3))[:, :2]
  np.testing.assert_allclose(keypoints, pose(photo)[0].keypoints_image)
  assert records[0]["file_name"] == "two people.png"
  *_, path = answers.show(found, 0.2)
  assert path.endswith("two people_keypoints.png")
  assert opened_size(path) == SIZE[::-1]


def test_people_are_numbered_on_the_drawing(answers, photo):
  found, _ = answers.find(photo)
  drawn = np.asarray(answers.show(found, 1.0)[1]).astype(int)
  for x, y, w, h in np.array(BOXES, int):
    assert (drawn[y, x : x + w] == 255).all()  # its upper side
    plate = drawn[y + h - 14 : y + h, x + 2 : x + 14].reshape(-1, 3)
    assert {0, 255} <= set(plate[:, 0])  # a white number on black


@pytest.mark.parametrize("mode", ["L", "RGBA", "P", "I;16", "1", "CMYK"])
def test_pictures_of_all_kinds_are_photographs(answers, tmp_path, mode):
  grey = PIL.Image.fromarray(colours.paint(SIZE, LEFT, LEFT)[..., 0])
  path = tmp_path / ("photo.tif" if mode == "CMYK" else "photo.png")
  grey.convert(mode).save(path)
  found, error = answers.find(str(path))
  assert error == ""
  status, drawing, table, file = answers.show(found, 0.0)
  assert status.startswith("2 people found.")
  assert drawing.mode == "RGB"
  assert table.count("<tr>") == 7
  assert opened_size(file) == SIZE[::-1]


def test_large_photographs_are_shown_smaller_and_saved_whole(answers, tmp_path):
  path = tmp_path / "large.jpg"
  PIL.Image.new("RGB", (4000, 3000), "white").save(path)
  found, error = answers.find(str(path))
  assert error == ""
  _, drawing, _, file = answers.show(found, 0.2)
  assert drawing.size == (1600, 1200)
  assert opened_size(file) == (4000, 3000)


def test_what_is_no_photograph_is_said_by_its_name(
  answers, tmp_path, monkeypatch
):
  (tmp_path / "empty.jpg").write_bytes(b"")
  (tmp_path / "text.png").write_text("no picture")
  PIL.Image.new("RGB", (40, 30)).save(tmp_path / "huge.png")
  monkeypatch.setattr(photo_lib, "MAX_PIXELS", 1000)
  for name, reason in (
    ("empty.jpg", "empty"),
    ("text.png", "no known format"),
    ("huge.png", "more than the limit"),
    ("absent.png", "no image file absent.png"),
  ):
    found, error = answers.find(str(tmp_path / name))
    assert found is None
    assert error.startswith("**Error:** ")
    assert reason in error
    assert name in error
    assert str(tmp_path) not in error
    assert "\n" not in error


def test_nobody_and_nothing_leave_the_page_empty(answers, tmp_path):
  assert answers.find(None) == (None, "")
  assert answers.show(None, 0.2) == ["", None, "", None]
  assert answers.compare(None, 0, 0) == [None, None, ""]
  assert answers.write_json(None) is None
  PIL.Image.new("RGB", (1, 1)).save(tmp_path / "dot.png")
  found, _ = answers.find(str(tmp_path / "dot.png"))
  status, drawing, table, _ = answers.show(found, 0.2)
  assert status == "The detector finds no person in this photograph."
  assert drawing.size == (1, 1)
  assert table.count("<tr>") == 1
  assert photograph.best_keypoint(found) is None
  assert answers.compare(found, 0, 0) == [None, None, ""]
  assert read_json(answers.write_json(found)) == []


def test_without_a_detector_the_picture_is_one_person(whole, tmp_path, photo):
  answers = Answers(whole, str(tmp_path), detector=False)
  found, _ = answers.find(photo)
  assert found.people.boxes.tolist() == [[0, 0, SIZE[1], SIZE[0]]]
  status, *_ = answers.show(found, 0.2)
  assert status.startswith(
    "No detector: the whole picture is taken as one person. "
    "`darkjax demo --detector=FILE` finds everyone."
  )


def test_names_are_shown_as_text():
  assert "<td>a&lt;b&gt;</td>" in photograph.to_html([[1, "a<b>"]])


def test_decoders_are_those_of_the_heatmap(pose, photo):
  person = one(pose, photo)
  argmax, standard, dark = decoders.decode(person, 1, pose.convention)
  heatmap = person.heatmaps[..., 1]
  row, column = np.unravel_index(heatmap.argmax(), heatmap.shape)
  np.testing.assert_allclose(argmax.heatmap, [column, row], atol=1e-4)
  shift = np.abs(standard.heatmap - argmax.heatmap)
  np.testing.assert_allclose(shift, 0.25, atol=1e-4)
  # What `Pose` gives: its decoder is DARK.
  np.testing.assert_allclose(dark.image, person.keypoints_image[1], atol=1e-4)
  np.testing.assert_allclose(
    dark.covariance_image, person.covariances[1], rtol=1e-4
  )
  for point in (argmax, standard, dark):
    back = geometry.apply_affine(person.image_from_heatmap, point.heatmap[None])
    np.testing.assert_allclose(back[0], point.image, atol=1e-4)
  assert np.linalg.norm(dark.image - RIGHT[1]) < 0.5  # px
  assert np.isnan(argmax.covariance_image).all()


def test_a_softmax_head_has_its_mean_too(rng):
  heatmaps = rng.uniform(size=(12, 8, 3)).astype(np.float32)
  person = Person(
    *(np.zeros((3, 2)), np.ones(3), np.zeros((3, 2, 2)), np.ones(4)),
    small_network.FACE,
    np.zeros((9, 9, 3), np.uint8),
    heatmaps=heatmaps / heatmaps.sum((0, 1)),
    image_from_heatmap=np.eye(2, 3),
  )
  points = decoders.decode(person, 2, small_network.SOFTMAX)
  methods = [point.method for point in points]
  assert methods == ["argmax", "standard", "dark", "integral"]
  text = decoders.describe(person, 2, points)
  assert "◆ integral" in text
  panels = pictures.draw_keypoint(person.image, person, 2, points)
  assert panels[0].size == panels[1].size


def test_words_have_the_coordinates(pose, photo):
  person = one(pose, photo)
  points = decoders.decode(person, 1, pose.convention)
  text = decoders.describe(person, 1, points)
  assert text.startswith(f"green, score {person.scores[1]:.3f}:")
  for sign, name, point in zip(
    "■▲●", ("argmax", "standard", "DARK"), points, strict=True
  ):
    (x, y), away = point.image, np.linalg.norm(point.image - points[2].image)
    line = f"- {sign} {name}: x {x:.2f}, y {y:.2f} px; {away:.2f} px from DARK"
    assert line in text
  scale = person.image_from_heatmap[0, 0]
  assert f"One pixel of the heatmap is {scale:.2f} px" in text
  short, long = np.sqrt(np.linalg.eigvalsh(person.covariances[1]))
  assert f"half axes of {long:.2f} and {short:.2f} px" in text
  assert "`darkjax calibrate` fits the error" in text
  fitted = dataclasses.replace(person, calibration=some_people.CALIBRATION)
  text = decoders.describe(fitted, 1, points)
  assert f"the median error is {fitted.errors[1]:.2f} px" in text
  assert f"a probability of {fitted.probabilities[1]:.2f}." in text


def test_a_map_without_a_peak_has_no_ellipse(pose, photo):
  person = one(pose, photo)
  flat = dataclasses.replace(person, heatmaps=np.zeros_like(person.heatmaps))
  points = decoders.decode(flat, 0, pose.convention)
  assert "no peak there, hence no ellipse" in decoders.describe(flat, 0, points)
  _, heatmap = pictures.draw_keypoint(photo_lib.read(photo), flat, 0, points)
  side = pictures.Panels(points).side
  orange = (np.asarray(heatmap)[:side] == (213, 94, 0)).all(-1)
  assert 0 < orange.sum() < 1500  # px: the marker


def test_photograph_and_heatmap_are_one_window(pose, photo):
  person = one(pose, photo)
  points = decoders.decode(person, 1, pose.convention)
  panels = pictures.Panels(points)
  cells = np.asarray(panels.of_heatmap(person.heatmaps[..., 1]))
  x, y = panels.place(points[0].heatmap).astype(int)
  assert (cells[y, x] == 255).all()  # the maximum's cell
  assert (cells[y, x + panels.zoom] < 255).all()
  pixels = photo_lib.read(photo)
  image = panels.of_photograph(pixels, person.image_from_heatmap)
  green = np.asarray(image)[..., 1].astype(float)
  brightest = np.argwhere(green > 0.98 * green.max()).mean(0)[::-1]
  # Panel px: a pixel of the photograph has about 30.
  expected = panels.place(points[2].heatmap)
  np.testing.assert_allclose(brightest, expected, atol=15)


def test_beyond_the_heatmap_is_grey(pose, photo):
  points = decoders.decode(one(pose, photo), 1, pose.convention)
  corner = [p._replace(heatmap=np.zeros(2)) for p in points]
  panels = pictures.Panels(corner)
  cells = np.asarray(panels.of_heatmap(np.ones((16, 12))))
  x, y = panels.place(np.zeros(2)).astype(int)
  assert (cells[y, x] == 255).all()
  assert (cells[y, x - panels.zoom] == 90).all()
  assert (cells[y - panels.zoom, x] == 90).all()


def test_markers_and_ellipses_are_where_the_numbers_are(pose, photo):
  person = one(pose, photo)
  points = decoders.decode(person, 1, pose.convention)
  panels = pictures.Panels(points)
  # DARK is drawn last, so its dot is never covered.
  covariance = points[2].covariance_heatmap
  variances, axes = np.linalg.eigh(covariance)
  for picture in pictures.draw_keypoint(
    photo_lib.read(photo), person, 1, points
  ):
    drawn = np.asarray(picture)
    orange = (drawn == (213, 94, 0)).all(-1)
    x, y = np.rint(panels.place(points[2].heatmap)).astype(int)
    assert orange[y, x]
    for sigmas in (1, 2):
      end = points[2].heatmap + sigmas * np.sqrt(variances[0]) * axes[:, 0]
      x, y = np.rint(panels.place(end)).astype(int)
      # Panel px: the ellipse is a polygon of 32 corners.
      assert orange[y - 4 : y + 5, x - 4 : x + 5].any(), sigmas
    assert (drawn[panels.side + 2] == 255).all()  # the legend's paper
    legend = drawn[panels.side :].reshape(-1, 3)
    for color in ((86, 180, 233), (240, 228, 66), (213, 94, 0)):
      assert (legend == color).all(-1).any()
