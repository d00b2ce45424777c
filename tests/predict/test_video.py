"""Videos and webcams: times, rotation, damage; the mp4 that is written."""

import contextlib
import sys
import types

import av
import clips
import numpy as np
import pytest

from darkjax.predict import inputs, video

COLOURS = [(20 * t, 0, 0) for t in range(6)]


def _read(path, **options):
  with inputs.open_frames(str(path), **options) as opened:
    return opened, list(opened.stream)


@pytest.mark.parametrize("codec", ["mjpeg", "mpeg4", "libx264"])
@pytest.mark.parametrize("suffix", ["avi", "mp4", "mkv"])
def test_videos_are_read_in_rgb_with_their_times(tmp_path, codec, suffix):
  path = tmp_path / f"clip.{suffix}"
  frames = [clips.plain(rgb) for rgb in COLOURS]
  clips.write(path, frames, rate="25/2", codec=codec)
  opened, read = _read(path)
  assert opened.num_pictures == (None if suffix == "mkv" else 6)
  assert (opened.rate, opened.live, opened.name) == (12.5, False, "clip")
  assert len(read) == 6
  for t, frame in enumerate(read):
    assert (frame.name, frame.image_id) == (path.name, t)
    # Matroska counts milliseconds.
    assert frame.seconds == pytest.approx(t / 12.5, abs=6e-4)
    # Grey levels: all three codecs are lossy.
    np.testing.assert_allclose(frame.pixels[16, 24], COLOURS[t], atol=6)


@pytest.mark.parametrize(
  ("suffix", "codec"),
  [
    *((name, "libx264") for name in ("3gp", "3g2", "ts", "MTS", "m2ts", "flv")),
    *((name, "mpeg2video") for name in ("mpeg", "mpg", "vob")),
    ("wmv", "msmpeg4"),
  ],
)
def test_the_ending_of_a_name_says_that_it_is_a_video(tmp_path, suffix, codec):
  path = tmp_path / f"clip.{suffix}"
  clips.write(path, [clips.plain(rgb) for rgb in COLOURS], codec=codec)
  with inputs.open_inputs([str(path)], out=tmp_path / "out") as opened:
    assert len(list(opened.stream)) == 6


def test_times_are_those_of_the_frames(tmp_path):
  seconds = [0.0, 0.04, 0.5, 0.53, 2.0]
  frames = [clips.plain(rgb) for rgb in COLOURS[:5]]
  path = tmp_path / "clip.mp4"
  clips.write(path, frames, seconds=seconds, codec="libx264", start=3.0)
  _, read = _read(path)
  assert [frame.seconds for frame in read] == pytest.approx(seconds, abs=1e-3)


class _Frame:
  width, height, side_data = 4, 2, {}

  def __init__(self, time):
    self.time = time

  def to_ndarray(self, **options):
    return np.zeros((2, 4, 3), np.uint8)


@pytest.mark.parametrize(
  ("times", "expected"),
  [
    ([7.0, 7.5, 7.5, 8.0], [0.0, 0.5, 0.6, 1.0]),
    ([None, None, None], [0.0, 0.1, 0.2]),
    ([1.0, None, 1.25, 0.0], [0.0, 0.1, 0.25, 0.35]),
  ],
)
def test_times_rise_where_the_file_has_none(times, expected):
  frames = map(_Frame, times)
  read = list(video._read_frames(frames, "clip", 0, 10.0, True))
  assert [seconds for seconds, _ in read] == pytest.approx(expected)


# Where the first pixel is shown: the corner (row, column) of the picture.
@pytest.mark.parametrize(
  ("matrix", "corner"),
  [
    ((1, 0, 0, 1), (0, 0)),
    ((0, 1, -1, 0), (0, -1)),  # a quarter clockwise: a phone held upright
    ((-1, 0, 0, -1), (-1, -1)),
    ((0, -1, 1, 0), (-1, 0)),
    ((-1, 0, 0, 1), (0, -1)),  # a mirror
    ((0, 1, 1, 0), (0, 0)),  # transposed
  ],
)
def test_frames_are_turned_upright(tmp_path, matrix, corner):
  rgb = clips.plain((0, 0, 0))
  rgb[:16, :16] = 250
  rgb[:16, 32:] = (0, 0, 250)  # at the end of the first row
  path = tmp_path / "clip.mp4"
  clips.write(path, [rgb] * 2, codec="mpeg4")
  clips.turn(path, matrix)
  a = matrix[0]
  _, read = _read(path)
  pixels = read[1].pixels
  assert pixels.shape == ((32, 48, 3) if a else (48, 32, 3))
  row, column = (8 if side == 0 else -8 for side in corner)
  assert pixels[row, column].min() > 200
  end = pixels[row, -column] if a else pixels[-row, column]
  assert end[2] > 200 > 60 > end[0]
  _, stored = _read(path, upright=False)
  assert stored[1].pixels[8, 8].min() > 200
  assert stored[1].pixels.shape == (32, 48, 3)


def test_videos_stop_after_max_frames(tmp_path, caplog):
  clips.write(tmp_path / "clip.avi", [clips.plain(rgb) for rgb in COLOURS])
  opened, read = _read(tmp_path / "clip.avi", max_frames=2)
  assert opened.num_pictures == len(read) == 2
  assert not caplog.text


def test_of_a_damaged_tail_the_rest_is_kept(tmp_path, caplog, rng):
  noise = rng.integers(0, 255, (20, 32, 48, 3), dtype=np.uint8)
  path = tmp_path / "clip.avi"
  clips.write(path, list(noise))
  data = path.read_bytes()
  path.write_bytes(data[: len(data) // 2])
  _, read = _read(path)
  assert 5 < len(read) < 15
  assert f"clip.avi: only {len(read)} of 20 frames" in caplog.text


def test_damaged_frames_are_left_out(tmp_path, caplog, rng):
  noise = rng.integers(0, 255, (10, 32, 48, 3), dtype=np.uint8)
  path = tmp_path / "clip.avi"
  clips.write(path, list(noise))
  data = bytearray(path.read_bytes())
  # The fourth JPEG, up to the 8 bytes before the fifth one's.
  starts = [n for n in range(len(data)) if data[n : n + 3] == b"\xff\xd8\xff"]
  data[starts[3] : starts[4] - 8] = bytes(starts[4] - 8 - starts[3])
  path.write_bytes(data)
  _, read = _read(path)
  places = [round(25 * frame.seconds) for frame in read]
  assert places == [0, 1, 2, *range(4, 10)]
  assert "clip.avi: 1 damaged parts are left out" in caplog.text


def test_files_that_are_no_videos_are_refused(tmp_path):
  clips.write(tmp_path / "clip.mp4", [clips.plain(rgb) for rgb in COLOURS])
  whole = (tmp_path / "clip.mp4").read_bytes()
  cut = whole[: whole.index(b"moov")]  # its index, at the end
  for content in (b"not a video" * 100, b"", cut):
    (tmp_path / "clip.mp4").write_bytes(content)
    with pytest.raises(
      ValueError, match=r"clip\.mp4 is not a video that FFmpeg can read \("
    ):
      _read(tmp_path / "clip.mp4")


def test_a_video_without_frames_is_refused(tmp_path):
  clips.write(tmp_path / "clip.avi", [clips.plain(COLOURS[0])])
  data = (tmp_path / "clip.avi").read_bytes()
  (tmp_path / "clip.avi").write_bytes(data[: data.index(b"movi") + 4])
  with pytest.raises(ValueError, match="no frame that FFmpeg can decode"):
    _read(tmp_path / "clip.avi")


def test_sound_alone_is_refused(tmp_path):
  path = tmp_path / "clip.mkv"
  with av.open(str(path), "w") as file:
    stream = file.add_stream("pcm_s16le", rate=8000)
    sound = av.AudioFrame.from_ndarray(
      np.zeros((1, 4608), np.int16), "s16", "mono"
    )
    sound.sample_rate = 8000
    file.mux(stream.encode(sound))
    file.mux(stream.encode())
  with pytest.raises(ValueError, match="no pictures, only sound"):
    _read(path)


@pytest.mark.skipif(sys.platform != "linux", reason="of Video4Linux")
def test_a_missing_webcam_is_named():
  with pytest.raises(FileNotFoundError, match=r"webcam 97 .* as /dev/video97"):
    _read("97")


@pytest.mark.parametrize(
  ("platform", "address", "options"),
  [
    ("linux", "/dev/video1", {"format": "v4l2"}),
    (
      "darwin",
      "1",
      {"format": "avfoundation", "options": {"framerate": "30"}},
    ),
    ("win32", "video=@back", {"format": "dshow"}),
  ],
)
def test_webcams_are_opened_as_the_platform_asks(
  tmp_path, monkeypatch, platform, address, options
):
  clips.write(tmp_path / "clip.avi", [clips.plain(rgb) for rgb in COLOURS])
  opened, calls = av.open, []

  def open_camera(*arguments, **options):
    calls.append((*arguments, options))
    return opened(str(tmp_path / "clip.avi"))

  monkeypatch.setattr(av, "open", open_camera)
  monkeypatch.setattr(
    av, "enumerate_input_devices", _directshow_devices, raising=False
  )
  monkeypatch.setattr(video, "_PLATFORM", platform)
  monkeypatch.chdir(tmp_path)
  pictures, read = _read("1", max_frames=4)
  assert calls == [(address, options)]
  assert (pictures.live, pictures.name, len(read)) == (True, "webcam1", 4)
  assert read[3].seconds == pytest.approx(3 / 25)


def _directshow_devices(kind):
  assert kind == "dshow"
  names = [("@front", "video"), ("@microphone", "audio"), ("@back", "video")]
  return [
    types.SimpleNamespace(name=name, media_types=[media])
    for name, media in names
  ]


def test_webcams_of_windows_are_counted(monkeypatch):
  monkeypatch.setattr(video, "_PLATFORM", "win32")
  monkeypatch.setattr(
    av, "enumerate_input_devices", _directshow_devices, raising=False
  )
  with pytest.raises(FileNotFoundError, match="no webcam 2: 2 are there"):
    _read("2")
  monkeypatch.delattr(av, "enumerate_input_devices")
  with pytest.raises(ImportError, match="PyAV 17"):
    _read("0")


class _SlowCamera:
  """A file whose every other read finds no frame, as AVFoundation's."""

  streams = types.SimpleNamespace(video=["the stream"])

  def __init__(self):
    self.packets = iter("abc")

  def demux(self, stream):
    assert stream == "the stream"
    for packet in self.packets:
      yield packet
      raise BlockingIOError


def test_a_camera_without_a_new_frame_is_asked_again():
  assert list(video._packets(_SlowCamera())) == ["a", "b", "c"]


def test_missing_pyav_names_the_extra(tmp_path, monkeypatch):
  monkeypatch.setitem(sys.modules, "av", None)
  with pytest.raises(ImportError, match=r"darkjax\[video\]"):
    _read(tmp_path / "clip.mp4")


def _write(path, size, seconds, rate=25.0):
  photo = np.zeros((*size, 3), np.uint8)
  photo[:, : size[1] // 2] = (200, 60, 10)
  with video.open_writer(path, rate) as write:
    for time in seconds:
      write(photo, time)


@pytest.mark.parametrize("rate", [25.0, 30000 / 1001])
def test_written_videos_can_be_read(tmp_path, rate):
  path = tmp_path / "out.mp4"
  _write(path, (32, 48), [n / rate for n in range(5)], rate)
  opened, read = _read(path)
  assert opened.rate == pytest.approx(rate, rel=1e-6)
  assert [f.seconds for f in read] == pytest.approx(
    [n / rate for n in range(5)], abs=1e-4
  )
  # Grey levels: H.264 is lossy.
  np.testing.assert_allclose(read[1].pixels[16, 8], [200, 60, 10], atol=10)
  np.testing.assert_allclose(read[1].pixels[16, 40], 0, atol=10)
  with av.open(str(path)) as file:
    (stream,) = file.streams.video
    assert stream.codec_context.name == "h264"
    assert stream.codec_context.pix_fmt == "yuv420p"


def test_written_videos_keep_a_variable_rate(tmp_path):
  seconds = [0.0, 0.04, 0.5, 0.53, 2.0]
  _write(tmp_path / "out.mp4", (32, 48), seconds)
  _, read = _read(tmp_path / "out.mp4")
  assert [f.seconds for f in read] == pytest.approx(seconds, abs=1e-4)


def test_odd_sides_get_their_last_row_and_column_twice(tmp_path):
  photo = clips.plain((0, 0, 0), (31, 47))
  photo[30], photo[:, 46] = 240, 240
  with video.open_writer(tmp_path / "out.mp4", 25.0) as write:
    write(photo, 0.0)
  _, (frame,) = _read(tmp_path / "out.mp4")
  assert frame.pixels.shape == (32, 48, 3)
  # Grey levels: not scaled, which would mix black and white.
  assert frame.pixels[30:].min() > 190
  assert frame.pixels[:, 46:].min() > 190
  assert frame.pixels[:30, :46].max() < 60


def test_without_x264_a_line_says_so(tmp_path, monkeypatch, caplog):
  def no_codec(name, mode):
    raise ValueError(name)

  monkeypatch.setattr(av, "Codec", no_codec)
  _write(tmp_path / "out.mp4", (32, 48), [0.0, 0.04, 0.08])
  assert caplog.text.count("PyAV has no x264") == 1
  opened, read = _read(tmp_path / "out.mp4")
  assert (opened.rate, len(read)) == (25.0, 3)
  np.testing.assert_allclose(read[1].pixels[16, 8], [200, 60, 10], atol=12)


def test_a_video_is_whole_or_absent(tmp_path):
  path = tmp_path / "out.mp4"
  with contextlib.suppress(KeyError), video.open_writer(path, 25.0):
    raise KeyError
  with video.open_writer(path, 25.0):
    pass
  assert not list(tmp_path.iterdir())
  with video.open_writer(path, 25.0) as write:
    write(clips.plain((9, 9, 9)), 0.0)
  assert [p.name for p in tmp_path.iterdir()] == ["out.mp4"]
  before = path.read_bytes()
  with (
    contextlib.suppress(KeyError),
    video.open_writer(path, 25.0) as write,
  ):
    write(clips.plain((200, 9, 9)), 0.0)
    raise KeyError
  assert path.read_bytes() == before
  # What there is can be played.
  (tmp_path / "out.mp4.part").rename(tmp_path / "part.mp4")
  _, (frame,) = _read(tmp_path / "part.mp4")
  assert frame.pixels[16, 24, 0] > 150
