"""The command: photographs, videos, boxes in; overlays, json and csv out."""

import csv
import dataclasses
import errno
import json
import os
import subprocess
import sys

import clips
import colours
import commands
import detector_files
import jax
import numpy as np
import PIL.Image
import pytest
from paths import ROOT

from darkjax import checkpoint, models
from darkjax.inference.people import People
from darkjax.inference.pose import Pose
from darkjax.inference.predictor import Predictor
from darkjax.predict import inputs, smoothing, tracks, writers
from darkjax.predict.people import predict_people, smooth_people, track_people

SIZE = (120, 160)
LEFT = np.array([[40.3, 25.8], [30.0, 60.4], [52.7, 90.1]])
RIGHT = np.array([[121.6, 40.0], [110.2, 71.3], [128.5, 97.9]])
BOXES = [[15.0, 10.0, 50.0, 100.0], [95.0, 25.0, 50.0, 90.0]]
# Two blocks of one width: structure of HRNet, quick to compile.
MODEL = {
  "name": "hrnet_small",
  "num_keypoints": 3,
  "channels": 4,
  "stem_features": 4,
  "stage1_features": 4,
  "modules": (1,),
  "blocks": 1,
}


@pytest.fixture(scope="module")
def pose():
  convention = colours.make_convention()
  predictor = Predictor(colours.Colours(convention), {}, convention)
  return Pose(predictor, batch_size=4)


def _picture(photo, *, name="a.png", image_id=3, seconds=float("nan")):
  return inputs.Picture(name, image_id, seconds, photo)


def _boxes(*records):
  """(boxes, scores) by image id."""
  grouped = {}
  for key, bbox, score in records:
    grouped.setdefault(key, []).append((bbox, score))
  return {
    key: (np.array([r[0] for r in rows]), np.array([r[1] for r in rows]))
    for key, rows in grouped.items()
  }


def _read_csv(path):
  with path.open(newline="") as file:
    return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def checkpoint_folder(tmp_path_factory):
  folder = tmp_path_factory.mktemp("weights")
  convention = colours.make_convention(crop_size=(64, 32), heatmap_size=(16, 8))
  images = np.zeros((1, 64, 32, 3), np.float32)
  model = models.create_model(**MODEL)
  variables = jax.jit(model.init)(jax.random.key(0), images)
  checkpoint.save_variables(folder / "tiny", variables, convention, MODEL)
  return folder / "tiny"


def test_command_predicts_photographs_without_tensorflow(
  checkpoint_folder, tmp_path, rng
):
  photos = tmp_path / "photos"
  photos.mkdir()
  for name in ("000000000007.jpg", "000000000011.png"):
    pixels = rng.integers(0, 256, (90, 70, 3), np.uint8)
    PIL.Image.fromarray(pixels).save(photos / name)
  (photos / "notes.txt").write_text("not a photograph")
  (photos / "000000000009.jpg").write_text("not a photograph either")
  detections = [
    {"image_id": 11, "bbox": [5, 5, 30, 60], "score": 0.5},
    {"image_id": 11, "bbox": [30, 20, 35, 60], "score": 0.9},
  ]
  (tmp_path / "boxes.json").write_text(json.dumps(detections))
  out = tmp_path / "out"
  code = (
    "import runpy, sys; sys.modules['tensorflow'] = None; "
    "runpy.run_module('darkjax.predict', run_name='__main__', alter_sys=True)"
  )
  arguments = [
    f"--checkpoint={checkpoint_folder}",
    f"--boxes={tmp_path / 'boxes.json'}",
    f"--out={out}",
    "--batch_size=2",
    str(photos),
  ]
  cache = {"JAX_COMPILATION_CACHE_DIR": str(ROOT / ".cache" / "jax")}
  done = subprocess.run(
    [sys.executable, "-c", code, *arguments],
    env=os.environ | cache,
    cwd=ROOT,
    capture_output=True,
    text=True,
    check=False,
  )
  assert done.returncode == 1, done.stderr
  assert "000000000009.jpg is not an image that can be read" in done.stderr
  assert "1 photographs could not be read" in done.stderr
  assert "2 people in 2 pictures (1 without a box); of 2" in done.stderr
  assert sorted(path.name for path in out.iterdir()) == [
    "000000000007.jpg",
    "000000000011.png",
    "results.csv",
    "results.json",
  ]
  found = json.loads((out / "results.json").read_text())
  assert [record["image_id"] for record in found] == [11, 11]
  pose = Pose.from_checkpoint(checkpoint_folder, batch_size=2)
  boxes = [record["bbox"] for record in detections]
  people = pose(photos / "000000000011.png", boxes)
  expected = {tuple(np.round(p.keypoints_image[0], 2)) for p in people}
  # px: the command may run another XLA program than the test.
  for record in found:
    nearest = min(
      np.abs(np.subtract(record["keypoints"][:2], point)).max()
      for point in expected
    )
    assert nearest < 0.02


def test_finds_scores_and_orders_people(pose):
  photo = colours.paint(SIZE, LEFT, RIGHT)
  boxes = _boxes((3, BOXES[0], 0.4), (3, BOXES[1], 0.8))
  (found,) = predict_people(pose, iter([_picture(photo)]), boxes)
  # Best first: box score × mean keypoint score.
  np.testing.assert_array_equal(found.people.box_scores, [0.8, 0.4])
  keypoints = [person.keypoints_image for person in found.people]
  np.testing.assert_allclose(keypoints, [RIGHT, LEFT], atol=0.05)


def test_scores_are_those_of_the_detector():
  convention = colours.make_convention()
  predictor = Predictor(colours.Colours(convention), {}, convention)
  pose = Pose(predictor, detector=lambda image: (BOXES, [0.4, 0.8]))
  photo = colours.paint(SIZE, LEFT, RIGHT)
  (found,) = predict_people(pose, iter([_picture(photo)]))
  np.testing.assert_array_equal(found.people.box_scores, [0.8, 0.4])
  assert found.num_boxes == 2
  records = writers.to_coco(found)
  assert [record["box_score"] for record in records] == [0.8, 0.4]
  boxes = _boxes((3, BOXES[0], 0.9))  # of a file
  (found,) = predict_people(pose, iter([_picture(photo)]), boxes)
  np.testing.assert_array_equal(found.people.box_scores, [0.9])


def test_command_finds_people(checkpoint_folder, tmp_path, rng, caplog):
  rows = [[4, 4, 40, 80, 0.5, 0], [30, 8, 64, 90, 0.25, 0], [0, 0, 9, 9, 1, 5]]
  path = detector_files.save(
    tmp_path / "a.onnx",
    {"out": np.array([rows], np.float32)},
    shape=(1, 3, 90, 70),
  )
  photo = tmp_path / "photo.png"
  PIL.Image.fromarray(rng.integers(0, 256, (90, 70, 3), np.uint8)).save(photo)
  out = tmp_path / "out"
  command = ("predict", f"--checkpoint={checkpoint_folder}", f"--out={out}")
  for options, expected in (
    ((), [0.5]),
    (("--min_box_score=0.2",), [0.5, 0.25]),
    (("--min_box_score=0.9",), []),
  ):
    done = commands.run(
      *command, f"--detector={path}", "--nms=none", *options, photo
    )
    assert done.returncode == 0, done.stderr
    records = json.loads((out / "results.json").read_text())
    assert sorted((r["box_score"] for r in records), reverse=True) == expected
  done = commands.run(*command, f"--detector={tmp_path / 'b.onnx'}", photo)
  assert done.returncode == 2
  assert "no detector" in done.stderr
  assert done.stderr.count("\n") == 1
  # Boxes that are given win.
  (tmp_path / "boxes.json").write_text(
    json.dumps([{"file_name": "photo.png", "bbox": [1, 2, 30, 60]}])
  )
  boxes = f"--boxes={tmp_path / 'boxes.json'}"
  done = commands.run(*command, boxes, f"--detector={path}", photo)
  assert done.returncode == 0, done.stderr
  records = json.loads((out / "results.json").read_text())
  assert [record["box_score"] for record in records] == [1.0]
  assert "--detector is not used" in caplog.text


def test_duplicates_are_removed(pose):
  photo = colours.paint(SIZE, LEFT, RIGHT)
  twice = [15.5, 10.0, 50.0, 100.5]
  boxes = _boxes((3, BOXES[0], 0.4), (3, twice, 0.8), (3, BOXES[1], 0.2))
  (found,) = predict_people(pose, iter([_picture(photo)]), boxes)
  np.testing.assert_array_equal(found.people.box_scores, [0.8, 0.2])
  assert found.num_boxes == 3
  for nms, scores in (("none", [0.8, 0.4, 0.2]), ("soft", [0.8, 0.2, 0.4])):
    (kept,) = predict_people(pose, iter([_picture(photo)]), boxes, nms=nms)
    np.testing.assert_array_equal(kept.people.box_scores, scores)


@pytest.mark.parametrize("nms", ["hard", "soft"])
def test_a_crowd_keeps_everyone(pose, nms):
  x, y = np.meshgrid(np.arange(6) * 20.0, np.arange(5) * 20.0)
  ones = np.full(30, 20.0)
  boxes = np.stack([x.ravel(), y.ravel(), ones, ones], -1)
  triangle = [[5, 5], [15, 7], [9, 15]]
  photo = colours.paint(SIZE, *(box[:2] + triangle for box in boxes))
  boxes = {3: (boxes, np.linspace(0.5, 1, 30))}
  (found,) = predict_people(pose, iter([_picture(photo)]), boxes, nms=nms)
  assert len(found.people) == 30


def test_pictures_without_boxes_have_nobody(pose):
  photo = colours.paint(SIZE, LEFT)
  pictures = [_picture(photo, image_id=n) for n in range(6)]
  boxes = _boxes((1, BOXES[0], 1.0), (4, BOXES[0], 1.0))
  found = list(predict_people(pose, iter(pictures), boxes))
  assert [len(f.people) for f in found] == [0, 1, 0, 0, 1, 0]
  assert [f.picture.image_id for f in found] == list(range(6))


def test_boxes_beside_the_picture_are_left_out(pose, caplog):
  photo = colours.paint(SIZE, LEFT, RIGHT)
  boxes = _boxes((3, [500.0, 0.0, 5.0, 5.0], 1.0), (3, BOXES[0], 0.5))
  (found,) = predict_people(pose, iter([_picture(photo)]), boxes)
  np.testing.assert_array_equal(found.people[0].bbox, BOXES[0])
  assert found.people.box_scores.tolist() == [0.5]
  assert "a.png: 1 of 2 boxes lie beside its" in caplog.text


def test_json_and_csv_hold_what_was_found(pose, tmp_path):
  photo = colours.paint(SIZE, LEFT, RIGHT)
  boxes = _boxes((3, BOXES[0], 0.9), (3, BOXES[1], 0.8))
  pictures = [_picture(photo), _picture(photo, name="b.png", image_id=9)]
  found = list(predict_people(pose, iter(pictures), boxes))
  written = writers.write_all(iter(found), tmp_path, category_id=4)
  assert written == (2, 1, 2, 2, False)
  assert not list(tmp_path.glob("*.png"))
  records = json.loads((tmp_path / "results.json").read_text())
  assert [r["file_name"] for r in records] == ["a.png", "a.png"]
  for record, truth in zip(records, (LEFT, RIGHT), strict=True):
    triples = np.reshape(record["keypoints"], (3, 3))
    np.testing.assert_allclose(triples[:, :2], truth, atol=0.05)
    assert record["image_id"] == 3
    assert record["category_id"] == 4
  lines = _read_csv(tmp_path / "results.csv")
  assert len(lines) == 6
  assert tuple(lines[0]) == writers.CSV_COLUMNS
  assert [line["keypoint"] for line in lines[:3]] == ["red", "green", "blue"]
  assert lines[4]["person"] == "1"
  assert lines[4]["seconds"] == lines[4]["track_id"] == ""
  assert lines[4]["probability"] == lines[4]["error"] == ""
  box = [float(lines[4][f"box_{name}"]) for name in ("x", "y", "width")]
  assert [*box, float(lines[4]["box_height"])] == BOXES[1]
  assert float(lines[4]["box_score"]) == 0.8
  np.testing.assert_allclose(float(lines[4]["x"]), RIGHT[1, 0], atol=0.05)
  person = found[0].people[1]
  for name, value in (
    ("var_x", person.covariances[1, 0, 0]),
    ("cov_xy", person.covariances[1, 0, 1]),
    ("var_y", person.covariances[1, 1, 1]),
    ("score", person.scores[1]),
  ):
    # Six digits are written.
    np.testing.assert_allclose(float(lines[4][name]), value, rtol=1e-5)


def test_overlays_of_subfolders_do_not_collide(pose, tmp_path):
  photo = colours.paint(SIZE, LEFT, RIGHT)
  names = ("cam1/a.png", "cam2/a.png", "a.png")
  pictures = [_picture(photo, name=n, image_id=i) for i, n in enumerate(names)]
  writers.write_all(
    predict_people(pose, iter(pictures)),
    tmp_path,
    draw=lambda one: PIL.Image.fromarray(one.picture.pixels),
  )
  assert all((tmp_path / name).is_file() for name in names)
  records = json.loads((tmp_path / "results.json").read_text())
  assert {record["file_name"] for record in records} == set(names)


def test_frames_of_long_videos_have_times_of_their_own(pose, tmp_path):
  photo = np.zeros((8, 9, 3), np.uint8)
  times = [36000 + n / 30 for n in range(3)]  # s
  clip = [_picture(photo, image_id=n, seconds=t) for n, t in enumerate(times)]
  writers.write_all(predict_people(pose, iter(clip)), tmp_path)
  lines = _read_csv(tmp_path / "results.csv")
  written = [float(line["seconds"]) for line in lines[::3]]
  np.testing.assert_allclose(written, times, rtol=0, atol=5e-7)


def test_a_name_that_is_no_text_is_written_escaped(pose, tmp_path):
  name = os.fsdecode(b"caf\xe9 \xc3\xbc.jpg")
  found = predict_people(
    pose, iter([_picture(np.zeros((8, 9, 3), np.uint8), name=name)])
  )
  writers.write_all(found, tmp_path)
  text = (tmp_path / "results.csv").read_text(encoding="utf-8")
  assert text.splitlines()[1].startswith(r"caf\udce9 ü.jpg,")
  records = json.loads((tmp_path / "results.json").read_text())
  assert records[0]["file_name"] == name


def test_results_of_nobody_are_valid_json(tmp_path):
  written = writers.write_all(iter([]), tmp_path)
  assert written == writers.Counts()
  assert json.loads((tmp_path / "results.json").read_text()) == []


def test_an_interrupt_leaves_complete_files(pose, tmp_path):
  photo = colours.paint((115, 90), LEFT)

  def pictures():
    for n in range(12):
      yield _picture(photo, image_id=n, seconds=n / 20)
    raise KeyboardInterrupt

  found = predict_people(pose, pictures())
  written = writers.write_all(
    found,
    tmp_path,
    video=("walk", 20.0),
    draw=lambda one: PIL.Image.fromarray(one.picture.pixels),
  )
  assert written.interrupted
  names = [path.name for path in tmp_path.iterdir()]
  assert sorted(names) == ["results.csv", "results.json", "walk.mp4"]
  with inputs.open_frames(str(tmp_path / "walk.mp4")) as overlay:
    assert len(list(overlay.stream)) == written.pictures
  records = json.loads((tmp_path / "results.json").read_text())
  assert len(records) == written.people
  # The last two batches of four may be lost.
  assert 4 <= written.people <= 12


def test_an_error_leaves_older_results_and_whole_new_ones_apart(pose, tmp_path):
  photo = colours.paint((115, 90), LEFT)

  def pictures():
    for n in range(12):
      yield _picture(photo, image_id=n)
    raise OSError("the disk went away")

  (tmp_path / "results.json").write_text("[1]")
  found = predict_people(pose, pictures())
  with pytest.raises(OSError, match="went away"):
    writers.write_all(found, tmp_path)
  assert (tmp_path / "results.json").read_text() == "[1]"
  assert len(json.loads((tmp_path / "results.json.part").read_text())) >= 4


def test_a_full_disk_is_named(tmp_path):
  def stream():
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    yield

  with pytest.raises(OSError, match=rf"the disk .* while writing {tmp_path}"):
    writers.write_all(stream(), tmp_path)


def _walk(count):
  """Keypoints of a person who steps aside by 2 px a frame, [T, 3, 2]."""
  return [LEFT + np.array([2.0 * t, 0.0]) for t in range(count)]


def test_video_gives_results_and_an_overlay(pose, tmp_path):
  truth = _walk(10)
  photos = [colours.paint(SIZE, keypoints) for keypoints in truth]
  clips.write(tmp_path / "walk.avi", photos, rate=20)
  boxes = _boxes(
    *((t, [15.0 + 2 * t, 10.0, 50.0, 100.0], 1.0) for t in range(10))
  )
  out = tmp_path / "out"
  with inputs.open_inputs([str(tmp_path / "walk.avi")], out=out) as video:
    assert (video.num_pictures, video.rate, video.name) == (10, 20.0, "walk")
    writers.write_all(
      predict_people(pose, video.stream, boxes),
      out,
      video=(video.name, video.rate),
      draw=lambda found: found.people.plot(min_score=0.2),
    )
  lines = _read_csv(out / "results.csv")
  found = np.array([[float(line["x"]), float(line["y"])] for line in lines])
  # px: the clip is compressed (Motion JPEG); a frame too early or late is 2 px.
  np.testing.assert_allclose(found.reshape(10, 3, 2), truth, atol=0.5)
  assert [float(line["seconds"]) for line in lines[::3]] == [
    pytest.approx(t / 20, abs=1e-6) for t in range(10)
  ]
  assert lines[-1]["image_id"] == "9"
  with inputs.open_frames(str(out / "walk.mp4")) as overlay:
    drawn = list(overlay.stream)
  assert [frame.seconds for frame in drawn] == pytest.approx(
    [t / 20 for t in range(10)], abs=1e-4
  )
  assert overlay.rate == 20.0
  x = round(truth[5][:, 0].mean())
  assert drawn[5].pixels.shape == (*SIZE, 3)
  changed = np.abs(drawn[5].pixels.astype(int) - photos[5]).max(-1) > 60
  assert changed[20:100, x - 25 : x + 25].sum() > 50
  assert not changed[:, 110:].any()


def test_smoothing_steadies_a_person_at_rest(pose, rng):
  jitter = rng.normal(size=(24, 1, 2)) * 1.5
  photos = [colours.paint(SIZE, LEFT + moved) for moved in jitter]
  clip = [
    _picture(photo, image_id=t, seconds=t / 20)
    for t, photo in enumerate(photos)
  ]
  boxes = _boxes(*((t, BOXES[0], 1.0) for t in range(24)))
  raw = list(predict_people(pose, iter(clip), boxes))
  raw = list(track_people(raw, tracks.OverlapTracker()))
  smooth = list(smooth_people(pose, iter(raw), smoothing.OneEuro()))
  spread = [
    np.std([found.people[0].keypoints_image for found in frames], axis=0).mean()
    for frames in (raw, smooth)
  ]
  assert spread[1] < 0.6 * spread[0]
  assert all(found.people.track_ids.tolist() == [0] for found in smooth)
  # Only the coordinates change.
  covariances = [found[5].people[0].covariances for found in (smooth, raw)]
  np.testing.assert_array_equal(*covariances)


def test_results_do_not_take_the_place_of_the_boxes(
  checkpoint_folder, tmp_path
):
  photo, boxes = tmp_path / "a.png", tmp_path / "out" / "results.json"
  PIL.Image.new("RGB", (48, 64)).save(photo)
  boxes.parent.mkdir()
  text = '[{"file_name": "a.png", "bbox": [0, 0, 48, 64], "score": 1}]'
  boxes.write_text(text)
  given = [f"--checkpoint={checkpoint_folder}", f"--boxes={boxes}"]
  done = commands.run("predict", *given, f"--out={boxes.parent}", photo)
  assert done.returncode == 2
  assert "results.json is a file to read" in done.stderr
  assert boxes.read_text() == text


@pytest.mark.parametrize("flag", ["--track", "--smooth"])
def test_photographs_have_no_tracks(checkpoint_folder, tmp_path, flag):
  photo = tmp_path / "a.png"
  PIL.Image.new("RGB", (48, 64)).save(photo)
  given = [f"--checkpoint={checkpoint_folder}", f"--out={tmp_path / 'out'}"]
  done = commands.run("predict", *given, flag, photo)
  assert done.returncode == 2
  assert "photographs have no time" in done.stderr
  assert not (tmp_path / "out").exists()


def test_command_tracks_and_smooths_an_animation(checkpoint_folder, tmp_path):
  frames = [PIL.Image.new("RGB", (48, 64), (n * 50, 9, 9)) for n in range(4)]
  clip = tmp_path / "clip.gif"
  frames[0].save(clip, save_all=True, append_images=frames[1:], duration=50)
  command = (
    f"--checkpoint={checkpoint_folder}",
    "--batch_size=2",
    "--track",
    "--smooth",
  )
  out = tmp_path / "out"
  done = commands.run("predict", *command, f"--out={out}", clip)
  assert done.returncode == 0, done.stderr
  names = [path.name for path in out.iterdir()]
  assert sorted(names) == ["clip.mp4", "results.csv", "results.json"]
  # The whole picture is one person; a track has its id from its second frame.
  ids = [line["track_id"] for line in _read_csv(out / "results.csv")[::3]]
  assert ids == ["", "0", "0", "0"]
  with inputs.open_frames(str(out / "clip.mp4")) as overlay:
    times = [frame.seconds for frame in overlay.stream]
  assert times == pytest.approx([0.0, 0.05, 0.1, 0.15], abs=1e-4)
  done = commands.run("predict", *command, f"--out={clip}/out", clip)
  assert done.returncode == 2
  assert done.stderr.splitlines()[-1].startswith(f"error: {clip}/out: Not a")


@pytest.mark.parametrize("flag", ["--min_cutoff=-1", "--beta=-0.5"])
def test_settings_of_the_filter_are_not_negative(tmp_path, flag):
  done = commands.run("predict", "--smooth", flag, tmp_path / "clip.mp4")
  assert done.returncode == 2
  assert f"flag {flag}: " in done.stderr


def test_command_smooths_one_frame_a_second(checkpoint_folder, tmp_path):
  frames = [PIL.Image.new("RGB", (48, 64), (n * 50, 9, 9)) for n in range(3)]
  clip, out = tmp_path / "clip.gif", tmp_path / "out"
  frames[0].save(clip, save_all=True, append_images=frames[1:], duration=1000)
  given = [
    f"--checkpoint={checkpoint_folder}",
    f"--out={out}",
    "--batch_size=2",
  ]
  done = commands.run("predict", *given, "--smooth", "--nopictures", clip)
  assert done.returncode == 0, done.stderr
  ids = [line["track_id"] for line in _read_csv(out / "results.csv")[::3]]
  assert ids == ["0", "0", "0"]


class _Sides:
  """A tracker: 9 is at the left, 4 at the right."""

  def update(self, boxes, scores, seconds):
    return [9 if x < 50 else 4 for x in boxes[:, 0]]


def test_tracks_are_in_json_csv_and_overlays(pose, tmp_path):
  photo = colours.paint(SIZE, LEFT, RIGHT)
  clip = [_picture(photo, image_id=t, seconds=t / 20) for t in range(2)]
  boxes = {t: (np.array(BOXES[:: 1 - 2 * t]), np.ones(2)) for t in range(2)}
  stream = predict_people(pose, iter(clip), boxes)
  found = list(track_people(stream, _Sides()))
  writers.write_all(iter(found), tmp_path)
  records = json.loads((tmp_path / "results.json").read_text())
  lines = _read_csv(tmp_path / "results.csv")
  # Who is left and who is right, by the first keypoint's x.
  of_records = [{}, {}]
  for record in records:
    place = round(record["keypoints"][0] / 50)
    of_records[record["image_id"]][place] = record["track_id"]
  of_lines = [{}, {}]
  for line in lines[::3]:
    place = round(float(line["x"]) / 50)
    of_lines[int(line["image_id"])][place] = int(line["track_id"])
  assert of_records[0] == of_records[1] == of_lines[0] == of_lines[1]
  assert of_records[0] == {1: 9, 2: 4}
  plain, numbered = (
    np.asarray(one.people.plot(min_score=0.2))
    for one in (_without_ids(found[1]), found[1])
  )
  rows, columns = np.nonzero((plain != numbered).any(-1))
  for x, y, _, _ in BOXES:
    near = (abs(columns - x) < 14) & (abs(rows - y) < 14)
    assert near.any()
  assert len(rows) < 400


def _without_ids(one):
  people = [dataclasses.replace(person, track_id=None) for person in one.people]
  return one._replace(people=People(people, one.people.image))
