"""Which pictures a command's arguments name, and their ids in results."""

import logging
import pathlib

import clips
import numpy as np
import PIL.Image
import pytest

from darkjax.predict import boxes, inputs

NO_BOX = np.zeros((0, 4)), np.zeros(0)
ONE_BOX = np.array([[0.0, 0.0, 4.0, 4.0]]), np.ones(1)


@pytest.fixture
def folder(tmp_path):
  (tmp_path / "in").mkdir()
  for value, name in enumerate(("b.png", "a.JPG", "c.bmp")):
    image = PIL.Image.new("RGB", (8, 6), (value * 40, 0, 0))
    image.save(tmp_path / "in" / name, format="PNG")
  (tmp_path / "in" / "notes.txt").write_text("no photograph")
  return tmp_path / "in"


def _names(opened):
  return [(frame.name, frame.image_id) for frame in opened.stream]


def test_folders_and_files_are_photographs(folder, tmp_path):
  with inputs.open_inputs([str(folder)], out=tmp_path) as opened:
    assert opened.num_pictures == 3
    assert opened.rate is None
    assert _names(opened) == [("a.JPG", 0), ("b.png", 1), ("c.bmp", 2)]
  one = [str(folder / "b.png")]
  with inputs.open_inputs(one, out=tmp_path) as opened:
    (frame,) = opened.stream
  assert frame.pixels.shape == (6, 8, 3)
  assert np.isnan(frame.seconds)


def test_stops_after_max_pictures(folder, tmp_path):
  with inputs.open_inputs(
    [str(folder)], out=tmp_path, max_pictures=2
  ) as opened:
    assert _names(opened) == [("a.JPG", 0), ("b.png", 1)]


def test_photographs_are_read_as_they_are_asked_for(folder, tmp_path):
  with inputs.open_inputs([str(folder)], out=tmp_path) as opened:
    assert next(opened.stream).name == "a.JPG"
    (folder / "b.png").unlink()
    (folder / "c.bmp").unlink()
    assert not list(opened.stream)
  assert opened.unreadable == ["b.png", "c.bmp"]


def test_a_photograph_that_cannot_be_read_is_left_out(folder, tmp_path, caplog):
  (folder / "b.png").write_bytes(b"broken")
  with inputs.open_inputs([str(folder)], out=tmp_path) as opened:
    assert _names(opened) == [("a.JPG", 0), ("c.bmp", 2)]
  assert opened.unreadable == ["b.png"]
  assert "b.png is not an image that can be read" in caplog.text


def _turned(path, size=(8, 6), orientation=6):
  exif = PIL.Image.Exif()
  exif[0x0112] = orientation
  PIL.Image.new("RGB", size).save(path, exif=exif)


def test_upright_unless_there_are_boxes(tmp_path):
  path = tmp_path / "turned.png"
  _turned(path)
  out, given = tmp_path / "out", [str(path)]
  file = _file({"turned.png": ONE_BOX}, [("turned.png", "turned.png")])
  for box_file, upright, expected in (
    (None, None, (8, 6, 3)),
    (file, None, (6, 8, 3)),
    (None, False, (6, 8, 3)),
    (file, True, (8, 6, 3)),
  ):
    with inputs.open_inputs(
      given, box_file, out=out, upright=upright
    ) as opened:
      assert next(opened.stream).pixels.shape == expected


@pytest.mark.parametrize(
  ("sizes", "shape", "message"),
  [
    ({1: (6, 8), 2: (6, 8)}, (6, 8, 3), "boxes are of the pictures as stored"),
    ({1: (8, 6), 2: (8, 6)}, (8, 6, 3), "boxes are of the pictures upright"),
    ({2: (8, 6)}, (8, 6, 3), "2 photographs with boxes are turned by EXIF; by"),
    ({}, (6, 8, 3), "2 photographs with boxes are turned by EXIF, such as"),
  ],
)
def test_sizes_say_which_way_is_up(tmp_path, caplog, sizes, shape, message):
  for n in (1, 2):
    _turned(tmp_path / f"{n}.png")
  _turned(tmp_path / "3.png", orientation=1)
  names = [(f"{n}.png", n) for n in (1, 2, 3)]
  file = _file(dict.fromkeys((1, 2, 3), ONE_BOX), names, sizes)
  out = tmp_path / "out"
  caplog.set_level(logging.INFO)
  with inputs.open_inputs([str(tmp_path)], file, out=out) as opened:
    assert [p.pixels.shape for p in opened.stream] == [shape, shape, (6, 8, 3)]
  assert caplog.text.count("EXIF") == 1
  assert message in caplog.text
  caplog.clear()
  upright = shape == (8, 6, 3)
  with inputs.open_inputs(
    [str(tmp_path)], file, out=out, upright=upright
  ) as opened:
    assert next(opened.stream).pixels.shape == shape
  assert "EXIF" not in caplog.text
  if sizes:
    flag = "--upright" if upright else "--stored"
    with pytest.raises(ValueError, match=f"to read it so give {flag}"):
      inputs.open_inputs([str(tmp_path)], file, out=out, upright=not upright)


def test_sizes_of_both_frames_ask_for_a_flag(tmp_path):
  for n in (1, 2):
    _turned(tmp_path / f"{n}.png")
  people = dict.fromkeys((1, 2), ONE_BOX)
  file = _file(people, (), {1: (6, 8), 2: (8, 6)})
  with pytest.raises(ValueError, match="give --upright or --stored"):
    inputs.open_inputs([str(tmp_path)], file, out=tmp_path / "out")


def test_missing_inputs_are_named(tmp_path):
  (tmp_path / "empty").mkdir()
  for name, match in (
    ("none.jpg", r"none\.jpg"),
    ("none.mp4", r"no video .*none\.mp4"),
    ("empty", "holds no photographs"),
  ):
    with (
      pytest.raises(FileNotFoundError, match=match),
      inputs.open_inputs([str(tmp_path / name)], out=tmp_path / "out"),
    ):
      pass


def test_inputs_that_do_not_go_together_are_refused(folder, tmp_path):
  out = tmp_path / "out"
  copy = tmp_path / "copy"
  copy.mkdir()
  (copy / "b.png").write_bytes((folder / "b.png").read_bytes())
  for arguments, where, match in (
    ([], out, "name photographs"),
    ([""], out, "name photographs"),
    ([str(folder), "clip.mp4"], out, "photographs or one video"),
    (["0", "1"], out, "photographs or one video"),
    ([str(folder), str(copy)], out, r"got twice: b\.png"),
    ([str(folder)], folder, "would overwrite"),
    ([str(tmp_path / "clip.mp4")], tmp_path, "would overwrite"),
  ):
    with pytest.raises(ValueError, match=match):
      inputs.open_inputs(arguments, out=where)


def test_no_overlay_takes_the_place_of_a_photograph(folder, tmp_path):
  (folder / "sub").mkdir()
  (folder / "a.JPG").rename(folder / "sub" / "a.JPG")
  (folder / "b.png").rename(tmp_path / "b.png")
  (folder / "c.bmp").unlink()
  given, out = [str(tmp_path / "b.png"), str(folder)], tmp_path / "in"
  for arguments in (given, given[1:]):
    with pytest.raises(ValueError, match=r"overlay of sub/a\.JPG would over"):
      inputs.open_inputs(arguments, out=out, recursive=True, max_pictures=1)
  with inputs.open_inputs(given, out=tmp_path / "out", recursive=True) as some:
    assert some.num_pictures == 2


def test_no_overlay_takes_the_place_of_another(folder, tmp_path):
  (folder / "c.bmp.png").write_bytes((folder / "b.png").read_bytes())
  with pytest.raises(ValueError, match=r"c\.bmp and c\.bmp\.png have one"):
    inputs.open_inputs([str(folder)], out=tmp_path / "out")


def _file(people, names=(), sizes=()):
  """A `BoxFile`: boxes by key, and the keys of file names."""
  return boxes.BoxFile(
    people, {name: {key} for name, key in names}, sizes=dict(sizes)
  )


def test_boxes_of_other_photographs_are_refused(folder, tmp_path):
  # The folder's files have places in it, 0 to 2, which are nobody's ids.
  for file in (
    _file({77: ONE_BOX}, [("other.png", 77)]),
    _file({"b.png": NO_BOX}, [("b.png", "b.png")]),
    _file({0: ONE_BOX, 1: ONE_BOX}),
  ):
    with pytest.raises(ValueError, match="no box belongs to any of the 3"):
      inputs.open_inputs([str(folder)], file, out=tmp_path)


def test_ids_and_boxes_are_those_of_the_names(folder, tmp_path):
  file = _file(
    {1: ONE_BOX, 0: ONE_BOX}, [("x/c.bmp", 0), ("b.png", 1), ("d.png", 2)]
  )
  with inputs.open_inputs([str(folder)], file, out=tmp_path) as opened:
    assert _names(opened) == [("a.JPG", 2), ("b.png", 1), ("c.bmp", 0)]
  assert sorted(opened.boxes) == [0, 1]


def test_ids_of_results_are_those_of_the_file(folder, tmp_path):
  file = boxes.BoxFile(
    {0: ONE_BOX}, {"b.png": {0}}, image_ids={0: "an id of text"}
  )
  with inputs.open_inputs([str(folder)], file, out=tmp_path) as opened:
    assert ("b.png", "an id of text") in _names(opened)
  assert list(opened.boxes) == ["an id of text"]


def test_boxes_made_on_pictures_of_another_size_are_refused(folder, tmp_path):
  file = _file({1: ONE_BOX}, [("b.png", 1)], [(1, (500, 400))])
  for upright in (None, True, False):
    with pytest.raises(ValueError, match=r"1 photographs .* b\.png should be"):
      inputs.open_inputs([str(folder)], file, out=tmp_path, upright=upright)


def _clip(path, count):
  clips.write(path, [clips.plain((20 * t, 0, 0)) for t in range(count)])


def test_frames_of_a_video_are_known_by_their_index(tmp_path):
  _clip(tmp_path / "clip.avi", 6)
  given = [str(tmp_path / "clip.avi")]
  file = _file({2: ONE_BOX, 9: ONE_BOX, "clip.avi": ONE_BOX})
  with inputs.open_inputs(given, file, out=tmp_path / "out") as opened:
    assert list(opened.boxes) == [2]
  for people in ({6: ONE_BOX}, {-1: ONE_BOX}, {"clip.avi": ONE_BOX}):
    with (
      pytest.raises(ValueError, match="no box belongs to any frame of clip"),
      inputs.open_inputs(given, _file(people), out=tmp_path / "out"),
    ):
      pass


def test_a_folder_named_by_a_number_is_no_webcam(folder, tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  folder.rename(tmp_path / "2019")
  with inputs.open_inputs(["2019"], out=tmp_path / "out") as opened:
    assert opened.num_pictures == 3


def _ids(names, ids):
  return inputs.image_ids([pathlib.Path(n) for n in names], ids)


@pytest.mark.parametrize(
  ("names", "ids", "expected"),
  [
    (("007.jpg", "12.jpg"), (None, None), [7, 12]),
    (("007.jpg", "im12.jpg"), (None, None), [0, 1]),
    (("007.jpg", "7.jpg"), (None, None), [0, 1]),
    (("007.jpg", "12.jpg"), (1, 5), [1, 5]),
    (("007.jpg", "12.jpg"), (1, None), [1, 12]),
    (("007.jpg", "12.jpg"), (12, None), [12, 0]),
    (("a.jpg", "b.jpg", "c.jpg"), (None, 0, None), [1, 0, 2]),
  ],
)
def test_image_ids(names, ids, expected):
  assert _ids(names, ids) == expected


def test_two_photographs_are_not_one_image():
  with pytest.raises(ValueError, match=r"1\.jpg, 01\.jpg are one image .*, 1;"):
    _ids(("1.jpg", "01.jpg", "2.jpg"), (1, 1, 2))
