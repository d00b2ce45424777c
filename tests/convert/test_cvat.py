"""CVAT's exports of projects and of videos."""

import commands
import label_projects as projects
import numpy as np
import pytest
from label_projects import ALONE, FIRST, flat

from darkjax.convert.formats import cvat
from darkjax.convert.project import Project


def write(folder, content) -> Project:
  path = folder / "annotations.xml"
  path.write_text(f"<annotations><version>1.1</version>{content}</annotations>")
  return Project(path)


def skeleton(points, frame=0) -> str:
  listed = "".join(
    f'<points label="{name}" outside="{int(np.isnan(x))}" occluded="0" '
    f'points="{np.nan_to_num(x)},{np.nan_to_num(y)}"></points>'
    for name, (x, y) in zip(projects.NAMES, points, strict=True)
  )
  return (
    f'<skeleton frame="{frame}" keyframe="1">{listed}<attribute/></skeleton>'
  )


def track(points, task, subset) -> str:
  return (
    f'<track label="dog" task_id="{task}" subset="{subset}">{skeleton(points)}'
    "</track>"
  )


def people(images) -> dict[str, list]:
  """Keypoints by the split and the last parts of the path of each image."""
  return {
    (i.split, "/".join(i.source.parts[-2:])): [p.keypoints for p in i.people]
    for i in images
  }


def test_videos_of_a_project_are_images_and_splits_of_their_own(tmp_path):
  project = write(
    tmp_path, track(FIRST, 11, "train") + track(FIRST[::-1], 12, "Validation")
  )
  for subset in ("train", "Validation"):
    projects.image(tmp_path / "images" / subset / "frame_000000.PNG")
  found = people(cvat.read(project))
  assert [*found] == [
    ("val", "Validation/frame_000000.PNG"),
    ("train", "train/frame_000000.PNG"),
  ]
  for points, right in zip(found.values(), (FIRST[::-1], FIRST), strict=True):
    np.testing.assert_array_equal(points, [flat(right)])


@pytest.mark.parametrize("subset", ["Train", ""])
def test_tasks_with_frames_of_one_name_are_refused(tmp_path, subset):
  content = track(FIRST, 11, subset) + track(FIRST, 12, subset)
  project = write(tmp_path, content)
  projects.image(tmp_path / "images" / "Train" / "frame_000000.PNG")
  done = commands.run("convert", project.source, f"--out={tmp_path}/train.json")
  assert done.returncode == 2
  assert done.stderr.count("\n") == 1
  assert "tasks 11 and 12 both have a frame 0" in done.stderr
  assert ("in the subset Train" in done.stderr) == bool(subset)


def test_frames_of_videos_have_no_suffix(tmp_path):
  project = write(
    tmp_path,
    f'<image name="frame_000000" subset="Train">{skeleton(FIRST)}</image>'
    f'<image name="frame_000000" subset="Test">{skeleton(ALONE)}</image>',
  )
  for subset in ("Train", "Test"):
    projects.image(tmp_path / "images" / subset / "frame_000000.PNG")
  found = people(cvat.read(project))
  assert [*found] == [
    ("train", "Train/frame_000000.PNG"),
    ("test", "Test/frame_000000.PNG"),
  ]
  assert not project.left_out.guessed


def test_points_outside_need_no_place(tmp_path):
  text = skeleton(ALONE).replace('points="0.0,0.0"', 'points=""')
  assert text.count('points=""') == 2
  project = write(tmp_path, f'<image name="a.png">{text}</image>')
  projects.image(tmp_path / "a.png")
  ((points,),) = people(cvat.read(project)).values()
  np.testing.assert_array_equal(points, flat(ALONE))


def test_the_end_of_a_track_is_no_image(tmp_path):
  end = skeleton(FIRST, frame=1).replace('outside="0"', 'outside="1"')
  project = write(
    tmp_path, f'<track label="dog">{skeleton(FIRST)}{end}</track>'
  )
  for frame in range(2):
    projects.image(tmp_path / f"frame_00000{frame}.png")
  assert len(cvat.read(project)) == 1
