"""Animated pictures: a video where one is given, else the first frame."""

import numpy as np
import PIL.Image
import pytest

from darkjax.predict import animation, boxes, inputs

RED = [(200, 0, 0), (0, 200, 0), (0, 0, 200)]


def write(path, kind, sizes=((8, 6),) * 3, **options):
  frames = [
    PIL.Image.new("RGB", size, colour)
    for size, colour in zip(sizes, RED, strict=True)
  ]
  frames[0].save(path, kind, save_all=True, append_images=frames[1:], **options)
  return path


@pytest.mark.parametrize(
  ("kind", "options", "times", "rate"),
  [
    ("gif", {"duration": [50, 200, 100]}, [0, 0.05, 0.25], 20.0),
    ("webp", {"duration": [40, 80, 40], "lossless": True}, [0, 0.04, 0.12], 25),
    ("png", {"duration": [50, 200, 100]}, [0, 0.05, 0.25], 20.0),
    ("tiff", {}, [0, 0.1, 0.2], 10.0),
  ],
)
def test_one_animation_is_a_video(tmp_path, kind, options, times, rate, caplog):
  path = write(tmp_path / f"clip.{kind}", kind, **options)
  out = tmp_path / "out"
  with inputs.open_inputs([str(path)], out=out) as opened:
    assert (opened.num_pictures, opened.name, opened.live) == (3, "clip", False)
    assert opened.rate == pytest.approx(rate)
    frames = list(opened.stream)
  assert [frame.image_id for frame in frames] == [0, 1, 2]
  assert [frame.seconds for frame in frames] == pytest.approx(times)
  for frame, colour in zip(frames, RED, strict=True):
    np.testing.assert_array_equal(frame.pixels[3, 4], colour)
  assert ("no durations; 10 frames/s" in caplog.text) == (kind == "tiff")
  with inputs.open_inputs([str(path)], out=out, max_pictures=2) as opened:
    assert len(list(opened.stream)) == opened.num_pictures == 2


def test_boxes_of_frames_go_by_their_index(tmp_path):
  path = write(tmp_path / "clip.gif", "gif")
  box = np.array([[0.0, 0.0, 4.0, 4.0]]), np.ones(1)
  file = boxes.BoxFile({1: box, 7: box}, {})
  out = tmp_path / "out"
  with inputs.open_inputs([str(path)], file, out=out) as opened:
    assert list(opened.boxes) == [1]
  with (
    pytest.raises(ValueError, match=r"any frame of clip\.gif"),
    inputs.open_inputs([str(path)], boxes.BoxFile({7: box}, {}), out=out),
  ):
    pass


def test_of_several_animations_the_first_frame_counts(tmp_path, caplog):
  for name in ("a.gif", "b.gif"):
    write(tmp_path / name, "gif")
  PIL.Image.new("RGB", (8, 6)).save(tmp_path / "c.gif")
  with inputs.open_inputs([str(tmp_path)], out=tmp_path / "out") as opened:
    frames = list(opened.stream)
  assert [frame.name for frame in frames] == ["a.gif", "b.gif", "c.gif"]
  np.testing.assert_array_equal(frames[1].pixels[3, 4], RED[0])
  assert caplog.text.count("the first one is used") == 1


def test_pages_of_several_sizes_are_no_video(tmp_path):
  path = write(tmp_path / "scan.tif", "tiff", [(8, 6), (8, 6), (9, 6)])
  with (
    animation.open_animation(path) as opened,
    pytest.raises(ValueError, match=r"frame 2\) has 9x6 px, the first one 8x6"),
  ):
    list(opened.frames)


def test_stills_and_other_files_are_no_animations(tmp_path):
  PIL.Image.new("RGB", (8, 6)).save(tmp_path / "a.gif")
  (tmp_path / "b.gif").write_text("no picture")
  (tmp_path / "folder.gif").mkdir()
  for name in ("a.gif", "b.gif", "folder.gif", "none.gif"):
    assert not animation.is_animated(tmp_path / name)


def _noise(path):
  """Writes two frames that do not compress."""
  noise = np.random.default_rng(0).integers(0, 256, (2, 60, 80, 3), np.uint8)
  first, second = map(PIL.Image.fromarray, noise)
  first.save(path, save_all=True, append_images=[second], duration=100)


@pytest.mark.parametrize("kind", ["gif", "png"])
def test_an_animation_cut_off_is_read_to_its_end(tmp_path, caplog, kind):
  path = tmp_path / f"clip.{kind}"
  _noise(path)
  path.write_bytes(path.read_bytes()[:-2000])
  with inputs.open_inputs([str(path)], out=tmp_path / "out") as opened:
    assert [frame.image_id for frame in opened.stream] == [0]
  assert "only 1 of 2 frames can be read" in caplog.text
  assert f"clip.{kind} (frame 1)" in caplog.text


def test_an_animation_cut_off_in_its_first_frame_is_named(tmp_path):
  path = tmp_path / "clip.png"
  _noise(path)
  path.write_bytes(path.read_bytes()[:4000])
  assert animation.is_animated(path)
  message = r"clip\.png is not an image that can be read"
  with (
    pytest.raises(ValueError, match=message),
    inputs.open_inputs([str(path)], out=tmp_path / "out") as opened,
  ):
    list(opened.stream)
