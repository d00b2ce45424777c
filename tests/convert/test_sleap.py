"""SLEAP's files, as sleap-io writes them."""

import pathlib
import warnings

import commands
import label_projects as projects
import numpy as np
import PIL.Image
import pytest
from label_projects import ALONE, FIRST, flat

sleap_io = pytest.importorskip("sleap_io")

RED = (200, 100, 0)


def labels(folder: pathlib.Path, colours=(RED, RED), kind="png"):
  """Two labelled frames of a sequence of images, one also predicted."""
  paths = [
    projects.image(folder / "frames" / f"{k}.{kind}", colour)
    for k, colour in enumerate(colours)
  ]
  skeleton = sleap_io.Skeleton(
    list(projects.NAMES),
    edges=[("nose", "right_paw")],
    symmetries=[("left_paw", "right_paw")],
    name="mouse",
  )
  video = sleap_io.Video.from_filename([str(path) for path in paths])
  frames = []
  for k, points in enumerate([FIRST, ALONE]):
    instance = sleap_io.Instance.from_numpy(np.array(points), skeleton=skeleton)
    frames.append(
      sleap_io.LabeledFrame(video=video, frame_idx=k, instances=[instance])
    )
  predicted = sleap_io.PredictedInstance.from_numpy(
    np.array(FIRST) + 1, skeleton=skeleton
  )
  frames[1].instances.append(predicted)
  return sleap_io.Labels(frames)


def save(content, path: pathlib.Path, embed=False) -> pathlib.Path:
  path.parent.mkdir(exist_ok=True)
  with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    sleap_io.save_slp(content, str(path), embed=embed, verbose=False)
  return path


def run(source, out, *more):
  done = commands.run("convert", source, f"--out={out}", *more)
  assert done.returncode in (0, 1), done.stderr
  return done


def test_a_file_that_points_to_images(tmp_path):
  source = save(labels(tmp_path), tmp_path / "mice.slp")
  done = run(source, tmp_path / "train.json")
  content = projects.read_json(tmp_path / "train.json")
  found = projects.keypoints(content)
  assert list(found) == ["frames/0.png", "frames/1.png"]
  np.testing.assert_array_equal(found["frames/0.png"], [flat(FIRST)])
  np.testing.assert_array_equal(found["frames/1.png"], [flat(ALONE)])
  (category,) = content["categories"]
  assert category["name"] == "mouse"
  assert category["skeleton"] == [[1, 3]]
  assert category["flip_pairs"] == [[1, 2]]
  assert "left out: 1 instances that a network predicted" in done.stdout


def test_images_of_a_project_that_moved(tmp_path):
  source = save(labels(tmp_path / "old"), tmp_path / "mice.slp")
  (tmp_path / "old" / "frames").rename(tmp_path / "elsewhere")
  (tmp_path / "old").rmdir()
  run(source, tmp_path / "train.json", f"--images={tmp_path / 'elsewhere'}")
  content = projects.read_json(tmp_path / "train.json")
  assert [i["file_name"] for i in content["images"]] == ["0.png", "1.png"]


@pytest.mark.parametrize("kind", ["png", "bmp"])
@pytest.mark.parametrize("plugin", ["opencv", "imageio"])
def test_images_in_a_package_are_written_with_their_colours(
  tmp_path, plugin, kind
):
  """Of a bmp, OpenCV writes red and blue into each other's place."""
  if plugin == "opencv":
    pytest.importorskip("cv2")
  content = labels(tmp_path, kind=kind)
  with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    sleap_io.save_slp(
      content,
      str(tmp_path / "train.pkg.slp"),
      embed="user",
      verbose=False,
      plugin=plugin,
    )
  h5py = pytest.importorskip("h5py")
  with h5py.File(tmp_path / "train.pkg.slp") as file:
    order = file["video0/video"].attrs["channel_order"]
  assert order == ("BGR" if (plugin, kind) == ("opencv", "bmp") else "RGB")
  for path in (tmp_path / "frames").iterdir():
    path.unlink()
  run(tmp_path / "train.pkg.slp", tmp_path / "train.json")
  images = projects.read_json(tmp_path / "train.json")["images"]
  assert len(images) == 2
  assert (images[0]["width"], images[0]["height"]) == (120, 90)
  path = tmp_path / images[0]["file_name"]
  assert path.parent.parent.name == "train_images"
  with PIL.Image.open(path) as image:
    assert image.getpixel((5, 5)) == RED


def test_packages_of_a_folder_are_splits(tmp_path):
  folder = tmp_path / "packages"
  for split in ("train", "val"):
    save(labels(tmp_path / split), folder / f"{split}.pkg.slp", "user")
  run(folder, tmp_path / "train.json")
  train, val = (
    projects.read_json(tmp_path / f"{split}.json") for split in ("train", "val")
  )
  names = [c["images"][0]["file_name"] for c in (train, val)]
  assert names == [
    "train_images/train/0/frame_000000.png",
    "train_images/val/0/frame_000000.png",
  ]
  assert all((tmp_path / name).is_file() for name in names)


def write_video(path: pathlib.Path) -> None:
  cv2 = pytest.importorskip("cv2")
  size = (projects.WIDTH, projects.HEIGHT)
  file = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 5, size)
  for grey in (40, 200):
    file.write(np.full((*size[::-1], 3), grey, np.uint8))
  file.release()


def test_frames_of_a_video_that_moved(tmp_path):
  write_video(tmp_path / "v.avi")
  content = labels(tmp_path)
  video = sleap_io.Video.from_filename(str(tmp_path / "v.avi"))
  content.replace_videos([content.videos[0]], [video])
  source = save(content, tmp_path / "mice.slp")
  (tmp_path / "new").mkdir()
  (tmp_path / "v.avi").rename(tmp_path / "new" / "v.avi")
  done = commands.run("convert", source, f"--out={tmp_path / 'train.json'}")
  assert done.returncode == 2
  assert "none of its 2 images is there, such as" in done.stderr
  assert "v.avi" in done.stderr
  run(source, tmp_path / "train.json", f"--images={tmp_path / 'new'}")
  images = projects.read_json(tmp_path / "train.json")["images"]
  greys = []
  for entry in images:
    with PIL.Image.open(tmp_path / "new" / entry["file_name"]) as image:
      greys.append(image.convert("L").getpixel((9, 9)))
  # JPEG of one grey; a level or two off.
  np.testing.assert_allclose(greys, [40, 200], atol=3)


def test_two_videos_of_one_name_are_not_mixed_up(tmp_path):
  for folder in ("a", "b"):
    (tmp_path / folder).mkdir()
    write_video(tmp_path / folder / "v.avi")
  frames = list(labels(tmp_path).labeled_frames)
  for frame, folder in zip(frames, ("a", "b"), strict=True):
    path = tmp_path / folder / "v.avi"
    frame.video = sleap_io.Video.from_filename(str(path))
  content = sleap_io.Labels(frames)
  source = save(content, tmp_path / "mice.slp")
  (tmp_path / "a" / "v.avi").rename(tmp_path / "v.avi")
  (tmp_path / "b" / "v.avi").unlink()
  done = commands.run("convert", source, f"--out={tmp_path / 'train.json'}")
  assert done.returncode == 2
  assert "both lead to" in done.stderr


def test_what_sleap_io_cannot_read(tmp_path):
  (tmp_path / "a.slp").write_text("nothing")
  done = commands.run("convert", tmp_path / "a.slp", f"--out={tmp_path}/t.json")
  assert done.returncode == 2
  assert "sleap-io cannot read it" in done.stderr
  assert done.stderr.count("\n") == 1


def test_points_of_old_files_lose_half_a_pixel(tmp_path):
  """Before SLEAP's format 1.1 the corner of a pixel was an integer."""
  h5py = pytest.importorskip("h5py")
  source = save(labels(tmp_path), tmp_path / "mice.slp")
  with h5py.File(source, "r+") as file:
    file["metadata"].attrs["format_id"] = 1.0
    rows = file["instances"][:]  # without tracking_score, which came later
    del file["instances"]
    file["instances"] = rows[list(rows.dtype.names[:9])]
  run(source, tmp_path / "train.json")
  found = projects.keypoints(projects.read_json(tmp_path / "train.json"))
  expected = np.array(FIRST) - 0.5
  np.testing.assert_array_equal(found["frames/0.png"][0][:, :2], expected)
