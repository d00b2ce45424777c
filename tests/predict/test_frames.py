"""Which pictures a command's arguments name."""

import pathlib
import sys

import cv2
import numpy as np
import PIL.Image
import pytest

from darkjax.inference import boxes
from darkjax.predict import frames

NOBODY = np.zeros((0, 4)), np.zeros(0)
SOMEBODY = np.array([[0.0, 0.0, 4.0, 4.0]]), np.ones(1)


@pytest.fixture
def folder(tmp_path):
  (tmp_path / "in").mkdir()
  for value, name in enumerate(("b.png", "a.JPG", "c.bmp")):
    image = PIL.Image.new("RGB", (8, 6), (value * 40, 0, 0))
    image.save(tmp_path / "in" / name, format="PNG")
  (tmp_path / "in" / "notes.txt").write_text("no photograph")
  return tmp_path / "in"


def _names(source):
  return [(frame.name, frame.image_id) for frame in source.frames]


def test_folders_and_files_are_photographs(folder, tmp_path):
  with frames.choose([str(folder)], out=tmp_path) as source:
    assert source.count == 3
    assert source.rate is None
    assert _names(source) == [("a.JPG", 0), ("b.png", 1), ("c.bmp", 2)]
  one = [str(folder / "b.png")]
  with frames.choose(one, out=tmp_path) as source:
    (frame,) = source.frames
  assert frame.pixels.shape == (6, 8, 3)
  assert np.isnan(frame.seconds)


def test_max_frames_is_kept(folder, tmp_path):
  with frames.choose([str(folder)], out=tmp_path, max_frames=2) as source:
    assert _names(source) == [("a.JPG", 0), ("b.png", 1)]


def test_photographs_are_read_as_they_are_asked_for(folder, tmp_path):
  with frames.choose([str(folder)], out=tmp_path) as source:
    assert next(source.frames).name == "a.JPG"
    (folder / "b.png").unlink()
    (folder / "c.bmp").unlink()
    assert not list(source.frames)
  assert source.unreadable == ["b.png", "c.bmp"]


def test_a_photograph_that_cannot_be_read_is_left_out(folder, tmp_path, caplog):
  (folder / "b.png").write_bytes(b"broken")
  with frames.choose([str(folder)], out=tmp_path) as source:
    assert _names(source) == [("a.JPG", 0), ("c.bmp", 2)]
  assert source.unreadable == ["b.png"]
  assert "b.png cannot be read" in caplog.text


def test_upright_unless_there_are_boxes(tmp_path):
  exif = PIL.Image.Exif()
  exif[0x0112] = 6
  path = tmp_path / "turned.png"
  PIL.Image.new("RGB", (8, 6)).save(path, exif=exif)
  out, given = tmp_path / "out", [str(path)]
  file = _file({"turned.png": SOMEBODY}, [("turned.png", "turned.png")])
  for box_file, upright, expected in (
    (None, None, (8, 6, 3)),
    (file, None, (6, 8, 3)),
    (None, False, (6, 8, 3)),
    (file, True, (8, 6, 3)),
  ):
    with frames.choose(given, box_file, out=out, upright=upright) as source:
      assert next(source.frames).pixels.shape == expected


def test_missing_inputs_are_named(tmp_path):
  (tmp_path / "empty").mkdir()
  for name, match in (
    ("none.jpg", r"none\.jpg"),
    ("none.mp4", r"no video .*none\.mp4"),
    ("empty", "holds no photographs"),
  ):
    with (
      pytest.raises(FileNotFoundError, match=match),
      frames.choose([str(tmp_path / name)], out=tmp_path / "out"),
    ):
      pass


def test_inputs_that_do_not_go_together_are_refused(folder, tmp_path):
  out = tmp_path / "out"
  copy = tmp_path / "copy"
  copy.mkdir()
  (copy / "b.png").write_bytes((folder / "b.png").read_bytes())
  for inputs, where, match in (
    ([], out, "name photographs"),
    ([str(folder), "clip.mp4"], out, "photographs or one video"),
    (["0", "1"], out, "photographs or one video"),
    ([str(folder), str(copy)], out, r"got twice: b\.png"),
    ([str(folder)], folder, "would overwrite"),
    ([str(tmp_path / "clip.mp4")], tmp_path, "would overwrite"),
  ):
    with pytest.raises(ValueError, match=match):
      frames.choose(inputs, out=where)


def _file(people, names=()):
  """A `BoxFile`: boxes by key, and the keys of file names."""
  grouped = {}
  for name, key in names:
    base = pathlib.PurePosixPath(name).name
    grouped.setdefault(base, set()).add((name, key))
  return boxes.BoxFile(people, grouped)


def test_boxes_of_other_photographs_are_refused(folder, tmp_path):
  # The folder's files have places in it, 0 to 2, which are nobody's ids.
  for file in (
    _file({77: SOMEBODY}, [("other.png", 77)]),
    _file({"b.png": NOBODY}, [("b.png", "b.png")]),
    _file({0: SOMEBODY, 1: SOMEBODY}),
  ):
    with pytest.raises(ValueError, match="no box belongs to any of the 3"):
      frames.choose([str(folder)], file, out=tmp_path)


def test_ids_and_boxes_are_those_of_the_names(folder, tmp_path):
  file = _file(
    {1: SOMEBODY, 0: SOMEBODY}, [("x/c.bmp", 0), ("b.png", 1), ("d.png", 2)]
  )
  with frames.choose([str(folder)], file, out=tmp_path) as source:
    assert _names(source) == [("a.JPG", 2), ("b.png", 1), ("c.bmp", 0)]
  assert sorted(source.boxes) == [0, 1]


def _clip(path, count):
  code = cv2.VideoWriter_fourcc(*"MJPG")
  writer = cv2.VideoWriter(str(path), code, 12.5, (48, 32))
  for t in range(count):
    bgr = np.full((32, 48, 3), (0, 0, 20 * t), np.uint8)
    writer.write(bgr)
  writer.release()


def test_videos_are_read_in_rgb_with_their_times(tmp_path):
  _clip(tmp_path / "clip.avi", 6)
  with frames.video(str(tmp_path / "clip.avi")) as source:
    assert (source.count, source.rate, source.live) == (6, 12.5, False)
    read = list(source.frames)
  for t, frame in enumerate(read):
    assert (frame.name, frame.image_id) == ("clip.avi", t)
    assert frame.seconds == pytest.approx(t / 12.5)
    # Grey levels: Motion JPEG is lossy.
    np.testing.assert_allclose(frame.pixels[16, 24], [20 * t, 0, 0], atol=6)


def test_videos_stop_after_max_frames(tmp_path):
  _clip(tmp_path / "clip.avi", 6)
  with frames.video(str(tmp_path / "clip.avi"), max_frames=2) as source:
    assert source.count == 2
    assert len(list(source.frames)) == 2


def test_frames_of_a_video_are_known_by_their_index(tmp_path):
  _clip(tmp_path / "clip.avi", 6)
  given = [str(tmp_path / "clip.avi")]
  file = _file({2: SOMEBODY, 9: SOMEBODY, "clip.avi": SOMEBODY})
  with frames.choose(given, file, out=tmp_path / "out") as source:
    assert list(source.boxes) == [2]
  for people in ({6: SOMEBODY}, {-1: SOMEBODY}, {"clip.avi": SOMEBODY}):
    with (
      pytest.raises(ValueError, match="no box belongs to any frame of clip"),
      frames.choose(given, _file(people), out=tmp_path / "out"),
    ):
      pass


def test_a_folder_named_by_a_number_is_no_webcam(folder, tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  folder.rename(tmp_path / "2019")
  with frames.choose(["2019"], out=tmp_path / "out") as source:
    assert source.count == 3


def test_a_file_that_is_no_video_is_refused(tmp_path, capfd):
  (tmp_path / "clip.mp4").write_bytes(b"not a video" * 100)
  with (
    pytest.raises(ValueError, match=r"clip\.mp4 is not a video"),
    frames.video(str(tmp_path / "clip.mp4")),
  ):
    pass


def test_a_missing_webcam_is_named(capfd):
  with (
    pytest.raises(FileNotFoundError, match="webcam 97"),
    frames.video("97"),
  ):
    pass


def test_missing_opencv_names_the_extra(tmp_path, monkeypatch):
  monkeypatch.setitem(sys.modules, "cv2", None)
  with (
    pytest.raises(ImportError, match=r"darkjax\[video\]"),
    frames.video(str(tmp_path / "clip.mp4")),
  ):
    pass


def test_written_videos_can_be_read(tmp_path):
  photo = np.zeros((32, 48, 3), np.uint8)
  photo[:, :24] = (200, 60, 10)
  with frames.video_writer(tmp_path / "out.mp4", 25.0) as write:
    for _ in range(3):
      write(photo)
  with frames.video(str(tmp_path / "out.mp4")) as source:
    assert source.rate == 25.0
    read = list(source.frames)
  assert len(read) == 3
  # Grey levels: MPEG-4 is lossy.
  np.testing.assert_allclose(read[1].pixels[16, 8], [200, 60, 10], atol=25)
