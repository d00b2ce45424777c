"""Synthetic people: true labels, and the same bytes for the same seed."""

import json
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image
from pycocotools.coco import COCO

from darkjax import skeletons
from darkjax.data.synthetic import body as bodies
from darkjax.data.synthetic import clothes, dataset, look, render
from darkjax.data.synthetic import scene as scenes

NAMES = skeletons.COCO.keypoint_names
LIGHT = np.array([0.0, 0.0, 1.0])
SIZE = (260, 200)  # height, width


def standing(yaw=0.0, *, lift=15.0, roll=0.0, elbow=0.0) -> bodies.Body:
  """An average person, 200 px tall, upright, mid hip at (100, 130)."""
  arms = np.radians([[0.0, lift, 0.0, elbow]] * 2)
  view = np.radians([yaw, 0.0, roll])
  still = bodies.Pose(view, np.zeros(3), np.zeros(3), arms, np.zeros((2, 4)))
  body = bodies.pose_body(still, bodies.Build())
  return body.moved(200.0, np.array([100.0, 130.0, 0.0]))


def plain_look() -> look.Look:
  """Short hair, nothing on the back."""
  drawn = look.sample_look(np.random.default_rng(1))
  return drawn._replace(hair_style="short", back="plain", glasses=False)


def scene_of(*things, size=SIZE) -> scenes.Scene:
  """Things on a grey, even ground."""
  return scenes.Scene(
    backdrop=np.full((3, *size), 128, np.float32),
    things=things,
    light=LIGHT,
    grain=np.ones(size, np.float32),
    noise=np.zeros((3, *size), np.float32),
  )


def person(body: bodies.Body) -> scenes.Thing:
  return scenes.Thing(clothes.dress(body, plain_look()), body)


def board(left: float, right: float) -> scenes.Thing:
  """A board over the columns from left to right."""
  ends = np.array([[left, 130.0, 0.0], [right, 130.0, 0.0]])
  rod = render.Rod(*ends, np.array([400.0, 400.0]), np.zeros(3), 0.0, 0.0)
  return scenes.Thing([rod])


def names_with(visibility, flag) -> set[str]:
  return {name for name, v in zip(NAMES, visibility, strict=True) if v == flag}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
  """Twelve people of one split, seed 7."""
  root = tmp_path_factory.mktemp("synthetic")
  dataset.write_dataset(root, num_people=12, seed=7, split="val")
  return root


@pytest.fixture(scope="module")
def drawn():
  """A dozen images as the command writes them."""
  return [dataset.render_image(3, "train", index) for index in range(12)]


# Kinematics: positions by hand from the proportions of an average person.


def test_upright_body_is_where_its_proportions_put_it():
  body, build = standing(lift=0.0), bodies.Build()
  shoulder = build.waist + build.chest - 0.016  # 0.016: under the neck
  up = {
    "left_shoulder": (build.shoulder, shoulder),
    "left_elbow": (build.shoulder, shoulder - build.upper_arm),
    "left_wrist": (build.shoulder, shoulder - build.upper_arm - build.forearm),
    "left_hip": (build.hip, 0),
    "left_knee": (build.hip, -build.thigh),
    "left_ankle": (build.hip, -build.thigh - build.shank),
  }
  keypoints = dict(zip(NAMES, body.keypoints(), strict=True))
  for name, (left, height) in up.items():
    # Seen from the front, the person's left is at larger x; y points down.
    expected = [100 + 200 * left, 130 - 200 * height]
    np.testing.assert_allclose(keypoints[name][:2], expected, atol=1e-9)
    mirrored = keypoints[name.replace("left", "right")][:2]
    expected = [100 - 200 * left, 130 - 200 * height]
    np.testing.assert_allclose(mirrored, expected, atol=1e-9)


def test_bent_elbow_points_the_forearm_at_the_viewer():
  body, build = standing(lift=0.0, elbow=90.0), bodies.Build()
  forearm = body.points["left_wrist"] - body.points["left_elbow"]
  np.testing.assert_allclose(forearm, [0, 0, 200 * build.forearm], atol=1e-9)


def test_back_view_swaps_the_sides_of_the_image():
  front, back = standing(0).keypoints(), standing(180).keypoints()
  for left, right in skeletons.COCO.flip_pairs:
    assert front[left, 0] > front[right, 0]
    assert back[left, 0] < back[right, 0]
  # Half a turn about the vertical through x = 100 px.
  np.testing.assert_allclose(back[:, 0], 200 - front[:, 0], atol=1e-9)


def test_facing_right_puts_the_nose_to_the_right_and_the_left_side_away():
  body = standing(90)
  assert body.points["nose"][0] > body.points["left_ear"][0] + 5
  assert body.points["left_hip"][2] < body.points["right_hip"][2]


def test_bones_keep_their_length_in_every_pose(rng):
  for _ in range(50):
    build = bodies.sample_build(rng)
    points = bodies.pose_body(bodies.sample_pose(rng), build).points
    for side in bodies.SIDES:
      for start, end, length in (
        ("shoulder", "elbow", build.upper_arm),
        ("elbow", "wrist", build.forearm),
        ("hip", "knee", build.thigh),
        ("knee", "ankle", build.shank),
      ):
        bone = points[f"{side}_{end}"] - points[f"{side}_{start}"]
        np.testing.assert_allclose(np.linalg.norm(bone), length, rtol=1e-9)


# Painting.


def test_painted_ball_has_its_center_and_area_to_sub_pixels():
  center, radius = np.array([20.3, 17.85, 0.0]), 6.0
  ball = render.Ellipsoid(center, np.eye(3), np.full(3, radius), np.ones(3))
  alpha = render.paint_layer([ball], (40, 50), LIGHT).alpha
  x = (alpha.sum(0) * np.arange(50)).sum() / alpha.sum()
  y = (alpha.sum(1) * np.arange(40)).sum() / alpha.sum()
  # Coverage is linear in the distance over one pixel, an approximation that
  # costs a few thousandths of a pixel; a shift by half a pixel costs 0.5.
  np.testing.assert_allclose([x, y], center[:2], atol=0.01)
  assert alpha.sum() == pytest.approx(np.pi * radius**2, rel=0.01)


@pytest.mark.parametrize(
  ("cap", "ends"), [(1.0, np.pi * 4.0**2), (0.0, 0.0), (0.5, np.pi * 8.0)]
)
def test_painted_rod_has_its_area(cap, ends):
  axis = np.array([[10.2, 20.4, 0.0], [38.2, 41.4, 0.0]])  # 35 px long
  rod = render.Rod(*axis, np.array([4.0, 4.0]), np.ones(3), cap=cap)
  area = render.paint_layer([rod], (64, 50), LIGHT).alpha.sum()
  # An ellipse of half axes 4 and 4 cap is shared by the two ends.
  assert area == pytest.approx(2 * 4.0 * 35 + ends, rel=0.01)


def test_turned_ellipsoid_is_seen_in_its_shadow():
  # Half axes (2, 2, 8), the long one turned by 60° from the line of sight:
  # its shadow has the half axes √(8² sin² + 2² cos²) and 2.
  turn = np.radians(60)
  frame = np.array(
    [
      [np.cos(turn), 0, np.sin(turn)],
      [0, 1, 0],
      [-np.sin(turn), 0, np.cos(turn)],
    ]
  )
  radii = np.array([2.0, 2.0, 8.0])
  egg = render.Ellipsoid(np.array([20.0, 20.0, 0.0]), frame, radii, np.ones(3))
  area = render.paint_layer([egg], (41, 41), LIGHT).alpha.sum()
  long = np.hypot(8 * np.sin(turn), 2 * np.cos(turn))
  assert area == pytest.approx(np.pi * 2 * long, rel=0.02)


def test_nearer_solid_covers_in_any_order():
  near = render.Ellipsoid(
    np.array([10.0, 10.0, 5.0]), np.eye(3), np.full(3, 4.0), np.full(3, 200.0)
  )
  far = near._replace(center=np.array([12.0, 10.0, -5.0]), color=np.zeros(3))
  for solids in ([near, far], [far, near]):
    layer = render.paint_layer(solids, (20, 24), LIGHT)
    assert layer.color[0, 10, 10] > 150
    assert layer.depth[10, 10] == pytest.approx(9.0)  # 5 + radius 4


def test_labelled_eyes_are_where_the_picture_shows_pupils():
  body = standing().moved(600.0, np.array([150.3, 400.8, 0.0]))
  solids = clothes.dress(body, plain_look())

  def draw(pupil):
    colored = [
      s._replace(color=np.full(3, pupil))
      if isinstance(s, render.Ellipsoid) and s.on_top and s.color[0] < 50
      else s
      for s in solids
    ]
    return scenes.draw_scene(
      scene_of(scenes.Thing(colored, body), size=(300, 310))
    )

  (bright, (seen,)), (dark, _) = draw(230.0), draw(20.0)
  shine = bright[..., 0].astype(float) - dark[..., 0]
  for name, columns in (("right_eye", np.s_[:150]), ("left_eye", np.s_[151:])):
    half = np.zeros_like(shine)
    half[:, columns] = shine[:, columns]
    y, x = np.indices(half.shape)
    found = (x * half).sum() / half.sum(), (y * half).sum() / half.sum()
    # A pupil of radius 3 px; rounding to grey levels and the margin of the
    # ball above. Half a pixel is the error of a wrong pixel convention.
    expected = seen.keypoints_image[NAMES.index(name)]
    np.testing.assert_allclose(found, expected, atol=0.03)


# Visibility.


def test_front_view_shows_everything():
  _, (seen,) = scenes.draw_scene(scene_of(person(standing())))
  assert names_with(seen.visibility, 2) == set(NAMES)
  expected = standing().keypoints()[:, :2]
  np.testing.assert_array_equal(seen.keypoints_image, expected)


def test_back_view_hides_the_face_only():
  _, (seen,) = scenes.draw_scene(scene_of(person(standing(180))))
  assert names_with(seen.visibility, 1) == {"nose", "left_eye", "right_eye"}


def test_side_view_hides_the_far_side():
  # Arms lifted to the side point at the viewer and away: they hide nothing
  # but what lies behind the near shoulder.
  _, (seen,) = scenes.draw_scene(scene_of(person(standing(90))))
  hidden = names_with(seen.visibility, 1)
  far = ("left_eye", "left_ear", "left_shoulder", "left_hip", "left_knee")
  assert hidden >= set(far)
  assert not hidden & {"nose", "right_eye", "right_ear", "right_shoulder"}


def test_bag_and_long_hair_hide_what_is_behind_them():
  worn = plain_look()._replace(back="bag", hair_style="long")
  body = standing(180)
  thing = scenes.Thing(clothes.dress(body, worn), body)
  _, (seen,) = scenes.draw_scene(scene_of(thing))
  assert names_with(seen.visibility, 1) >= {"left_ear", "right_ear"}
  # 12 px before the knee is less than the 0.07 * 200 px that count as flesh
  # and cloth, so that cloth leaves the knee in sight and a bag does not.
  x, y, z = body.points["left_knee"]
  ends = np.array([[x - 9, y, z + 8.0], [x + 9, y, z + 8.0]])
  for hides in (False, True):
    strap = render.Rod(*ends, np.array([4.0, 4.0]), np.zeros(3), hides=hides)
    strapped = scenes.Thing([*thing.solids, strap], body)
    _, (seen,) = scenes.draw_scene(scene_of(strapped))
    assert seen.visibility[NAMES.index("left_knee")] == (1 if hides else 2)


def test_board_hides_the_keypoints_behind_it_and_no_others():
  body = standing()
  thing, x = person(body), body.keypoints()[:, 0]
  _, (hidden,) = scenes.draw_scene(scene_of(thing, board(-50, 100.0)))
  # Of the pixels that hold keypoints, those up to column 99 are covered; the
  # nose is at 100, half covered by a board that ends there.
  assert x[0] == pytest.approx(100)
  np.testing.assert_array_equal(
    hidden.visibility[1:], np.where(x > 100, 2, 1)[1:]
  )
  # A thing behind a person hides nothing.
  _, (behind,) = scenes.draw_scene(scene_of(board(-50, 100.0), thing))
  assert names_with(behind.visibility, 2) == set(NAMES)


def test_flags_change_where_the_picture_changes():
  rng, changes = np.random.default_rng(5), 0
  for _ in range(8):
    scene = scenes.sample_scene(rng, num_people=1)
    scene = scene._replace(noise=np.zeros_like(scene.noise))
    bare = tuple(t for t in scene.things if t.body is not None)
    alone, (before,) = scenes.draw_scene(scene._replace(things=bare))
    image, (after,) = scenes.draw_scene(scene)
    np.testing.assert_array_equal(before.silhouette, after.silhouette)
    for k in np.flatnonzero(before.visibility == 2):
      x, y = np.rint(before.keypoints_image[k]).astype(int)
      same = (image[y, x] == alone[y, x]).all()
      assert after.visibility[k] == 2 or not same
      # A covered centre means a covered pixel, but for a thing's soft edge.
      changes += after.visibility[k] == 1
  assert changes > 3  # the scenes do hold things in front


def test_near_person_hides_the_far_one():
  far = standing()
  near = far.moved(240.0, np.array([125.0, 150.0, 0.0]))
  _, persons = scenes.draw_scene(scene_of(person(far), person(near)))
  mask = persons[1].silhouette
  for k in range(17):
    x, y = np.rint(persons[0].keypoints_image[k]).astype(int)
    assert persons[0].visibility[k] == (1 if mask[y, x] else 2)
  assert 0 < (persons[0].visibility == 1).sum() < 17


def test_keypoints_outside_the_image_have_flag_zero():
  body = standing().moved(200.0, np.array([10.0, 30.0, 0.0]))
  _, (seen,) = scenes.draw_scene(scene_of(person(body), size=(100, 60)))
  x, y = body.keypoints()[:, :2].T
  inside = (x >= 0) & (x <= 59) & (y >= 0) & (y <= 99)
  np.testing.assert_array_equal(seen.visibility > 0, inside)
  assert 3 < inside.sum() < 14
  label = dataset._annotation(seen, 1, 1)
  triples = np.array(label["keypoints"]).reshape(17, 3)
  assert (triples[~inside] == 0).all()
  assert label["num_keypoints"] == inside.sum()


# The folder.


def test_pycocotools_reads_the_folder(folder):
  api = COCO(folder / "annotations" / "person_keypoints_val.json")
  (category,) = api.loadCats(api.getCatIds())
  assert tuple(category["keypoints"]) == NAMES
  assert category["skeleton"][0] == [16, 14]  # COCO's first limb, from 1
  labels = api.loadAnns(api.getAnnIds(iscrowd=False))
  assert len(labels) == 12
  for label in labels:
    image = api.loadImgs(label["image_id"])[0]
    check_label(label, image)
    with Image.open(folder / "images" / image["file_name"]) as file:
      assert file.size == (image["width"], image["height"])
      assert file.mode == "RGB"


def check_label(label, image):
  x, y, flags = np.array(label["keypoints"]).reshape(17, 3).T
  left, top, width, height = label["bbox"]
  assert left >= 0
  assert top >= 0
  assert left + width <= image["width"]
  assert top + height <= image["height"]
  labelled = flags > 0
  assert label["num_keypoints"] == labelled.sum()
  # A box of whole pixels: a keypoint may lie half a pixel off the centre of
  # the outermost one.
  assert (x[labelled] >= left - 0.5).all()
  assert (x[labelled] <= left + width - 0.5).all()
  assert (y[labelled] >= top - 0.5).all()
  assert (y[labelled] <= top + height - 0.5).all()
  assert 0 < label["area"] <= width * height
  assert (flags == 2).sum() >= 4


def test_labels_are_those_of_the_picture(folder):
  path = folder / "annotations" / "person_keypoints_val.json"
  content = json.loads(path.read_text())
  image = content["images"][0]
  pixels, persons = dataset.render_image(7, "val", image["id"] - 1)
  with Image.open(folder / "images" / image["file_name"]) as file:
    decoded = np.asarray(file).astype(int)
  # JPEG of quality 92 without chroma subsampling: a few grey levels.
  assert np.abs(decoded - pixels).mean() < 4
  label, first = content["annotations"][0], persons[0]
  triples = np.array(label["keypoints"]).reshape(17, 3)
  inside = first.visibility > 0
  # Rounded to three decimals.
  np.testing.assert_allclose(
    triples[inside, :2], first.keypoints_image[inside], atol=0.00051
  )
  np.testing.assert_array_equal(triples[:, 2], first.visibility)
  assert label["area"] == first.silhouette.sum()


def read_folder(root) -> dict[str, bytes]:
  return {
    str(path.relative_to(root)): path.read_bytes()
    for path in root.rglob("*")
    if path.is_file()
  }


def test_same_seed_same_bytes(folder, tmp_path):
  dataset.write_dataset(tmp_path, num_people=12, seed=7, split="val")
  assert read_folder(tmp_path) == read_folder(folder)


def test_smaller_set_is_a_part_of_a_larger_one(folder, tmp_path):
  dataset.write_dataset(tmp_path, num_people=5, seed=7, split="val")
  large, small = (
    read_folder(folder / "images"),
    read_folder(tmp_path / "images"),
  )
  common = large.keys() & small.keys()
  assert len(common) >= len(small) - 1  # the last may be left out of the large
  assert all(large[name] == small[name] for name in common)


def test_splits_and_seeds_differ():
  first, _ = dataset.render_image(0, "train", 0)
  for other in ((0, "val", 0), (1, "train", 0), (0, "train", 1)):
    image, _ = dataset.render_image(*other)
    assert image.shape != first.shape or (image != first).any()


def test_pictures_vary(drawn):
  counts = {len(persons) for _, persons in drawn}
  assert counts == {1, 2, 3}
  shapes = {image.shape for image, _ in drawn}
  assert len(shapes) == len(drawn)
  flags = np.concatenate([p.visibility for _, ps in drawn for p in ps])
  shares = np.bincount(flags, minlength=3) / len(flags)
  # All three flags occur, and most keypoints can be seen.
  assert shares.min() > 0.01
  assert shares[2] > 0.5


@pytest.mark.parametrize(
  ("change", "message"),
  [
    ({"num_people": 0}, "num_people must be at least 1, got 0"),
    ({"num_people": -3}, "num_people must be at least 1, got -3"),
    ({"num_people": 2.5}, "num_people must be an integer, got 2.5"),
    ({"num_people": True}, "num_people must be an integer, got True"),
    ({"seed": -1}, "seed must be at least 0, got -1"),
    ({"split": "a/b"}, "split is a part of file names"),
    ({"split": ""}, "split is a part of file names"),
  ],
)
def test_bad_arguments_are_refused(tmp_path, change, message):
  arguments = {"num_people": 1, "seed": 0, "split": "train"} | change
  with pytest.raises(ValueError, match=message):
    dataset.write_dataset(tmp_path / "out", **arguments)
  assert not (tmp_path / "out").exists()


def test_a_file_is_not_a_folder(tmp_path):
  file = tmp_path / "file"
  file.write_text("")
  with pytest.raises(ValueError, match="is a file"):
    dataset.write_dataset(file, num_people=1, seed=0)


def test_other_peoples_labels_are_left_alone(tmp_path):
  path = dataset.write_dataset(tmp_path, num_people=1, seed=0)
  assert dataset.write_dataset(tmp_path, num_people=2, seed=0) == path
  path.write_text('{"info": {"description": "our people"}}')
  with pytest.raises(ValueError, match="holds other people"):
    dataset.write_dataset(tmp_path, num_people=1, seed=0)
  assert "our people" in path.read_text()


def test_scene_without_people_is_refused(rng):
  with pytest.raises(ValueError, match="num_people must be at least 1, got 0"):
    scenes.render_scene(rng, num_people=0)


def test_command_writes_both_splits(tmp_path):
  command = "-m darkjax.data.synthetic --train=2 --val=1 --seed=4".split()
  subprocess.run(
    [sys.executable, *command, f"--out={tmp_path}"],
    check=True,
    capture_output=True,
    timeout=900,
  )
  for split, count in (("train", 2), ("val", 1)):
    path = tmp_path / "annotations" / f"person_keypoints_{split}.json"
    assert len(json.loads(path.read_text())["annotations"]) == count
