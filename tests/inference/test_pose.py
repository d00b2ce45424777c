"""`Pose` with a network whose answers are known: it finds coloured blobs."""

import copy
import multiprocessing
import pickle
import sys

import colours
import numpy as np
import PIL.Image
import pytest

from darkjax import geometry, models
from darkjax.heatmaps.decode import decode_heatmaps
from darkjax.inference.people import People
from darkjax.inference.pose import Pose
from darkjax.inference.predictor import Predictor

SIZE = (120, 160)
# Two people, (x, y) of red, green, blue, and boxes around them, px.
LEFT = np.array([[40.3, 25.8], [30.0, 60.4], [52.7, 90.1]])
RIGHT = np.array([[121.6, 40.0], [110.2, 71.3], [128.5, 97.9]])
BOXES = np.array([[15.0, 10.0, 50.0, 100.0], [95.0, 25.0, 50.0, 90.0]])
# A cell of the first box's heatmap: 50 x 100 px are widened to 75 x 100 and
# padded to 93.75 x 125; the dark alignment puts 11 cells on 92.75 px.
CELL = 92.75 / 11
# px. The blobs are exact Gaussians only before they are rounded to uint8 and
# interpolated twice; measured worst error 0.027 px. A quarter of a cell, which
# tells the decoders apart, is 2 px, and half a pixel shows a wrong centre.
TOLERANCE = 0.05


@pytest.fixture(scope="module")
def pose():
  return _make(batch_size=4)


def _make(model=None, convention=None, **options):
  convention = convention or colours.make_convention()
  model = model or colours.Colours(convention)
  names = ("batch_size", "backend", "return_heatmaps")
  own = {name: options.pop(name) for name in names if name in options}
  return Pose(Predictor(model, {}, convention, **options), **own)


@pytest.fixture(scope="module")
def photo():
  return colours.paint(SIZE, LEFT, RIGHT)


def _assert_found(people, expected, tolerance=TOLERANCE):
  assert isinstance(people, People)
  assert len(people) == len(expected)
  for person, keypoints in zip(people, expected, strict=True):
    np.testing.assert_allclose(
      person.keypoints_image, keypoints, atol=tolerance
    )


def test_finds_people_in_their_boxes(pose, photo):
  people = pose(photo, BOXES)
  _assert_found(people, [LEFT, RIGHT])
  for person, bbox in zip(people, BOXES, strict=True):
    assert person.names == ("red", "green", "blue")
    np.testing.assert_array_equal(person.bbox, bbox)
    assert person.keypoints_image.shape == (3, 2)
    assert person.scores.shape == (3,)
    assert person.covariances.shape == (3, 2, 2)
    # The blobs peak at 1; half a cell beside it, along both axes, it is 0.80.
    assert ((person.scores > 0.8) & (person.scores <= 1)).all()


def test_covariance_is_the_width_of_the_blob(pose, photo):
  person = pose(photo, BOXES)[0]
  # By hand: a Gaussian of 9 px, blurred with [1/4, 1/2, 1/4] cells, at its
  # peak and one cell beside it, as DARK's logarithm sees it.
  one, two = np.exp(-((np.array([1, 2]) * CELL / 9) ** 2) / 2)
  peak, beside = (1 + one) / 2, (1 + 2 * one + two) / 4
  variance = CELL**2 / (2 * np.log(peak / beside))
  # px² of 123: peaks lie between cells, which changes it by 1 percent.
  np.testing.assert_allclose(
    person.covariances, np.tile(np.eye(2) * variance, (3, 1, 1)), atol=2.0
  )


def test_peak_width_is_that_of_a_clean_peak(pose):
  # sigma² = 1 and 1/2 for the blur, in cells².
  expected = np.sqrt(1.5) * CELL
  np.testing.assert_allclose(pose.peak_width(BOXES[0]), expected, rtol=1e-6)


def test_no_boxes_mean_the_whole_image(pose):
  photo = colours.paint((115, 90), LEFT)
  _assert_found(pose(photo), [LEFT])
  np.testing.assert_array_equal(pose(photo)[0].bbox, [0, 0, 90, 115])


def test_paths_pil_images_and_arrays_agree(pose, photo, tmp_path):
  path = tmp_path / "photo.png"
  PIL.Image.fromarray(photo).save(path)
  expected = pose(photo, BOXES)
  for given in (path, str(path), PIL.Image.open(path)):
    for person, same in zip(pose(given, BOXES), expected, strict=True):
      np.testing.assert_array_equal(
        person.keypoints_image, same.keypoints_image
      )


def test_files_are_turned_upright(pose, photo, tmp_path):
  exif = PIL.Image.Exif()
  exif[0x0112] = 6  # turn by 90° clockwise to see it upright
  stored = PIL.Image.fromarray(np.rot90(photo))
  stored.save(tmp_path / "turned.png", exif=exif)
  people = pose(tmp_path / "turned.png", BOXES)
  _assert_found(people, [LEFT, RIGHT])
  assert people.plot().size == (160, 120)


def test_lists_of_photographs_share_batches(pose, photo):
  alone = colours.paint((115, 90), LEFT)
  empty = np.zeros((20, 30, 3), np.uint8)
  found = pose(
    [photo, empty, alone, photo, photo],
    [BOXES, [], None, BOXES[1:], BOXES[[1, 0]]],
  )
  expected = [[LEFT, RIGHT], [], [LEFT], [RIGHT], [RIGHT, LEFT]]
  for people, keypoints in zip(found, expected, strict=True):
    _assert_found(people, keypoints)
  assert pose([]) == []


def test_people_do_not_depend_on_their_batch(pose, photo):
  together = pose([photo] * 3, [BOXES] * 3)
  for people in together:
    for person, bbox in zip(people, BOXES, strict=True):
      alone = pose(photo, [bbox])[0]
      # Batches of other sizes round differently, px.
      np.testing.assert_allclose(
        person.keypoints_image, alone.keypoints_image, atol=1e-4
      )


def test_few_batch_sizes_are_compiled(photo):
  model = colours.Colours(colours.make_convention())
  pose = _make(model=model, method="argmax", flip_test=False)
  for count in range(1, 41):
    assert len(pose(photo, np.tile(BOXES[:1], (count, 1)))) == count
  # Traced once each; eight more than 32 take the program of 8.
  assert [shape[0] for shape in model.shapes] == [1, 2, 4, 8, 16, 32]


def test_the_last_few_of_many_take_a_program_that_is_there(photo):
  model = colours.Colours(colours.make_convention())
  pose = _make(model=model, method="argmax", flip_test=False, batch_size=4)
  for count in (5, 3, 1, 5):
    assert len(pose(photo, np.tile(BOXES[:1], (count, 1)))) == count
  assert [shape[0] for shape in model.shapes] == [4, 1]


def test_stream_reads_ahead_by_two_batches_only(pose):
  read = []

  def photographs():
    for n in range(40):
      read.append(n)
      # Nobody in most of them.
      yield np.zeros((9, 9, 3), np.uint8), None if n % 10 == 0 else []

  for n, people in enumerate(pose.stream(photographs())):
    assert len(people) == (n % 10 == 0)
    assert len(read) <= n + 2 * 4 + 1
  assert len(read) == 40


def test_flip_test_and_decoder_are_options(photo):
  _assert_found(_make(flip_test=False)(photo, BOXES), [LEFT, RIGHT])
  person = _make(method="argmax")(photo, BOXES)[0]
  assert np.abs(person.keypoints_image - LEFT).max() > 1
  assert np.isnan(person.covariances).all()


@pytest.mark.parametrize("backend", ["jax", "onnxruntime"])
@pytest.mark.filterwarnings("default")  # of the converter's many packages
def test_heatmaps_are_kept_on_request(pose, photo, backend):
  if backend == "onnxruntime":
    pytest.importorskip("jax2onnx")
    pytest.importorskip("onnxruntime")
  keeping = _make(batch_size=4, backend=backend, return_heatmaps=True)
  # Three people in a batch of four.
  people = keeping(photo, [*BOXES, BOXES[0]])
  _assert_found(people, [LEFT, RIGHT, LEFT])
  for person in people:
    assert person.heatmaps.shape == (16, 12, 3)
    assert person.heatmaps.dtype == np.float32
    # Decoded by hand, they give the keypoints back.
    decoded = decode_heatmaps(person.heatmaps, method="dark", blur_kernel=3)
    back = geometry.apply_affine(
      person.image_from_heatmap, np.asarray(decoded.keypoints, np.float64)
    )
    # px, float32 at 100 px.
    np.testing.assert_allclose(back, person.keypoints_image, atol=1e-3)
    np.testing.assert_allclose(decoded.scores, person.scores, atol=1e-5)
  plain = pose(photo, BOXES)[0]
  assert plain.heatmaps is plain.image_from_heatmap is None
  assert keeping(photo, []).keypoints.shape == (0, 3, 2)
  again = pickle.loads(pickle.dumps(keeping))(photo)[0]
  assert again.heatmaps.shape == (16, 12, 3)


def test_plot_draws_on_a_copy(pose, photo):
  before = photo.copy()
  people = pose(photo, BOXES)
  drawn = np.asarray(people.plot())
  np.testing.assert_array_equal(photo, before)
  assert drawn.shape == photo.shape
  changed = (drawn != photo).any(-1)
  for keypoints in (LEFT, RIGHT):
    x, y = np.rint(keypoints).astype(int).T
    assert changed[y, x].all()
  assert not changed[:, 75:90].any()  # between the two
  only_left = (np.asarray(people[0].plot()) != photo).any(-1)
  assert not only_left[:, 90:].any()
  assert only_left.any()


def test_plot_leaves_out_low_scores_and_can_draw_ellipses(pose, photo):
  people = pose(photo, BOXES)
  np.testing.assert_array_equal(np.asarray(people.plot(min_score=2.0)), photo)
  plain = (np.asarray(people.plot()) != photo).any(-1).sum()
  ellipses = np.asarray(people.plot(uncertainty=True))
  assert (ellipses != photo).any(-1).sum() > 3 * plain


def test_plot_of_nobody_is_the_photograph(pose, photo):
  np.testing.assert_array_equal(np.asarray(pose(photo, []).plot()), photo)


@pytest.mark.parametrize(
  ("boxes", "match"),
  [
    ([[1, 2, np.nan, 4]], r"numbers up to 1e\+09 px"),
    ([[0, 0, 1e300, 1e300]], r"numbers up to 1e\+09 px"),
    ([[1, 2, 3, 0]], "sizes above 0"),
    (
      [[1, 2, 3, 4], [200, 10, 5, 5]],
      r"must overlap .* 160 x 120 px, got .* box 1",
    ),
    ([[-9, -9, 9, 9]], "must overlap"),
    ([1, 2, 3, 4], "wrap a single box in a list"),
    ([[1, 2, 3, 4], [5]], r"image 0: boxes are numbers .* \[5\]"),
    ([["a", 2, 3, 4]], "boxes are numbers"),
    ([[1, 2, 3, 4, 5]], r"got shape \(1, 5\)"),
  ],
)
def test_boxes_that_cannot_be_used_are_refused(pose, photo, boxes, match):
  with pytest.raises(ValueError, match=match):
    pose(photo, boxes)


def test_boxes_over_the_border_are_used(pose):
  photo = colours.paint(SIZE, LEFT, width=14.0)
  # The image's border cuts into a blob, which moves it by 0.35 px.
  _assert_found(pose(photo, [[-20, -20, 120, 155]]), [LEFT], tolerance=0.5)


def test_errors_name_the_image(pose, photo, tmp_path):
  with pytest.raises(FileNotFoundError, match="nowhere"):
    pose([photo, tmp_path / "nowhere.jpg"])
  with pytest.raises(ValueError, match="image 1: "):
    pose([photo, photo], [None, [[500, 0, 9, 9]]])
  path = tmp_path / "one.png"
  PIL.Image.fromarray(photo).save(path)
  with pytest.raises(ValueError, match=r"one\.png: "):
    pose(path, [[500, 0, 9, 9]])


@pytest.mark.parametrize("given", [None, 5, b"bytes", [b"bytes"], [None]])
def test_other_things_are_no_images(pose, given):
  with pytest.raises(ValueError, match=r"PIL image.* got (NoneType|int|bytes)"):
    pose(given)


def test_lists_need_as_many_boxes(pose, photo):
  with pytest.raises(ValueError, match="got 1 for 2 images"):
    pose([photo, photo], [BOXES])


@pytest.mark.filterwarnings("default")  # of the converter's many packages
def test_onnx_runtime_finds_the_same(pose, photo):
  pytest.importorskip("jax2onnx", reason="needs darkjax[onnx], 160 MB")
  pytest.importorskip("onnxruntime")
  other = _make(batch_size=4, backend="onnxruntime")
  boxes = np.tile(BOXES, (3, 1))
  for found, person in zip(
    other(photo, boxes), pose(photo, boxes), strict=True
  ):
    for name in ("keypoints_image", "scores", "covariances"):
      given, expected = getattr(found, name), getattr(person, name)
      assert given.dtype == expected.dtype == np.float32
      # px, 1 and px²: the same arithmetic in float32, in another order.
      np.testing.assert_allclose(given, expected, atol=1e-3, rtol=1e-4)


@pytest.mark.parametrize("package", ["onnxruntime", "jax2onnx"])
def test_a_missing_extra_is_named(package, monkeypatch):
  monkeypatch.setitem(sys.modules, package, None)
  with pytest.raises(ImportError, match=rf"{package}: .*darkjax\[onnx\]"):
    _make(backend="onnxruntime")


@pytest.mark.parametrize(
  ("option", "known"),
  [
    ("method", "'argmax', 'standard', 'dark'"),
    ("border", "'refine', 'official'"),
    ("backend", "'jax', 'onnxruntime'"),
  ],
)
def test_an_unknown_option_lists_the_known_ones(option, known):
  with pytest.raises(ValueError, match=f"{option} .*{known}.* got 'other'"):
    _make(**{option: "other"})


def test_slices_and_copies_can_be_drawn(pose, photo):
  people = pose(photo, BOXES)
  left = np.asarray(people[0].plot())
  np.testing.assert_array_equal(np.asarray(people[:1].plot()), left)
  everybody = np.asarray(people.plot())
  np.testing.assert_array_equal(np.asarray(people.copy().plot()), everybody)


@pytest.mark.parametrize("batch_size", [0, 3])
def test_batch_size_is_a_power_of_two(batch_size):
  with pytest.raises(ValueError, match="power of two"):
    _make(batch_size=batch_size)


def test_model_must_fit_the_convention(photo):
  model = colours.Colours(colours.make_convention(heatmap_size=(8, 6)))
  pose = _make(model=model)
  with pytest.raises(ValueError, match=r"\(16, 12, 3\).*gives \(8, 6, 3\)"):
    pose(photo, BOXES)


def test_a_pose_can_be_copied_and_pickled(pose, photo):
  expected = pose(photo)[0]
  for other in (copy.deepcopy(pose), pickle.loads(pickle.dumps(pose))):
    person = other(photo)[0]
    np.testing.assert_array_equal(
      person.keypoints_image, expected.keypoints_image
    )


def test_networks_can_be_pickled():
  for name in ("hrnet_w32", "simple_baseline_50", "hourglass_4"):
    model = models.create_model(name)
    assert pickle.loads(pickle.dumps(model)) == model


def test_spawned_workers_find_what_the_parent_finds(pose, photo):
  context = multiprocessing.get_context("spawn")
  with context.Pool(1) as pool:
    person = pool.apply(pose, (photo,))[0]
  expected = pose(photo)[0]
  np.testing.assert_array_equal(
    person.keypoints_image, expected.keypoints_image
  )
