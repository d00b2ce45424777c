"""Batches: order, resuming, sharding, padding, and where things lie in them."""

import dataclasses
import itertools
import json

import batch_check
import coco_folder
import numpy as np
import PIL.Image
import pytest
from conventions import make_convention

from darkjax import geometry, skeletons
from darkjax.convention import Convention
from darkjax.data import batch as schema
from darkjax.data import people_table
from darkjax.data.coco import prepare
from darkjax.data.pipeline import augment, crop_geometry, sampler, tf_crop
from darkjax.data.pipeline import batches as pipeline

CROP_SIZE, HEATMAP_SIZE = (80, 60), (20, 15)
FULL = augment.Augmentation(half_body_probability=0)


def convention(**changes) -> Convention:
  fields = {"skeleton": coco_folder.DOLL, "crop_size": CROP_SIZE}
  return make_convention(**(fields | changes))


def blobs(height: int, width: int, keypoints) -> np.ndarray:
  """Keypoint k as a Gaussian of 3 px in colour channel k."""
  y, x = np.mgrid[0:height, 0:width]
  channels = [
    255 * np.exp(-((x - px) ** 2 + (y - py) ** 2) / 18) for px, py in keypoints
  ]
  return np.round(np.stack(channels, -1)).astype(np.uint8)


@pytest.fixture(scope="module")
def source(tmp_path_factory):
  """Eleven people, one per image of odd size, keypoints at their blobs."""
  folder = tmp_path_factory.mktemp("dolls")
  rng = np.random.default_rng(2)
  what = coco_folder.content(num_images=11)
  for i, entry in enumerate(what["images"]):
    entry.update(height=90 + i, width=111 - i, file_name=f"{i + 1}.png")
    keypoints = rng.uniform((35, 30), (70, 60), (3, 2)).round(2)
    visibility = [2, 1, 2] if i % 3 else [2, 2, 0]
    labels = np.concatenate([keypoints, np.c_[visibility]], -1)
    what["annotations"][i].update(
      keypoints=labels.ravel().tolist(),
      bbox=[20.25, 10.5, 64.0 + i / 4, 70.0],
      score=0.5 + i / 32,
    )
  annotations, images = coco_folder.write(folder, what)
  for entry, annotation in zip(
    what["images"], what["annotations"], strict=True
  ):
    keypoints = np.reshape(annotation["keypoints"], (3, 3))[:, :2]
    pixels = blobs(entry["height"], entry["width"], keypoints)
    PIL.Image.fromarray(pixels).save(images / entry["file_name"])
  return prepare.load(annotations, images, cache_dir=folder / "cache")


def take(count: int, sources, augmentation=FULL, **options):
  settings = {"batch_size": 4, "seed": 0, **options}
  conv = settings.pop("convention", convention())
  batches = pipeline.train_batches(sources, conv, augmentation, **settings)
  return list(itertools.islice(batches, count))


def assert_equal(one, other):
  assert one.keys() == other.keys()
  for name in one:
    np.testing.assert_array_equal(one[name], other[name], err_msg=name)


def test_batches_have_the_documented_fields(source):
  (batch,) = take(1, [source])
  batch_check.check(batch, convention())
  evaluation = list(pipeline.eval_batches(source, convention(), batch_size=3))
  for batch in evaluation:
    batch_check.check(batch, convention())
  assert len(evaluation) == 4  # eleven people by threes


def test_an_epoch_shows_everyone_at_most_once_in_a_new_order(source):
  batches = take(6, [source])  # two batches of 4 in an epoch of 11 people
  epochs = [
    np.concatenate([b["annotation_id"] for b in batches[i : i + 2]])
    for i in (0, 2, 4)
  ]
  assert all(len(set(epoch)) == 8 for epoch in epochs)
  assert len({tuple(epoch) for epoch in epochs}) == 3
  other = take(1, [source], seed=1)[0]["annotation_id"]
  assert other.tolist() != epochs[0][:4].tolist()


def test_everyone_comes_first_sometime():
  # 200 epochs of 11: a place is each person's in 1/11 ± 4 standard errors.
  first = [sampler.permutation(11, 0, epoch)[0] for epoch in range(2000)]
  share = np.bincount(first, minlength=11) / 2000
  np.testing.assert_allclose(share, 1 / 11, atol=4 * (0.083 / 2000) ** 0.5)


@pytest.mark.parametrize("start", [1, 3, 7])
def test_a_resumed_run_equals_a_straight_one(source, start):
  straight = take(start + 2, [source])[start:]
  for one, other in zip(
    straight, take(2, [source], start_step=start), strict=True
  ):
    assert_equal(one, other)


def test_resuming_reads_nothing_that_is_skipped(source, monkeypatch):
  planned = []
  training = crop_geometry.CropGeometry.augmented

  def spy(self, index, *args, **kwargs):
    planned.append(kwargs["epoch"])
    return training(self, index, *args, **kwargs)

  monkeypatch.setattr(crop_geometry.CropGeometry, "augmented", spy)
  take(1, [source], start_step=2_000_001)
  assert set(planned) <= {1_000_000, 1_000_001, 1_000_002}


@pytest.mark.parametrize("count", [2, 4])
def test_processes_share_the_batches_of_one(source, count):
  whole = take(3, [source])
  shares = [
    take(
      3, [source], batch_size=4 // count, process_index=i, process_count=count
    )
    for i in range(count)
  ]
  for step, batch in enumerate(whole):
    joined = {
      name: np.concatenate([share[step][name] for share in shares])
      for name in batch
    }
    assert_equal(joined, batch)


def test_sources_with_the_same_ids_are_kept_apart(source):
  seen = take(5, [source, source])  # 22 people in five batches of 4
  ids = np.concatenate([b["annotation_id"] for b in seen])
  assert max(np.unique(ids, return_counts=True)[1]) == 2
  crops = {
    (i, batch["image"][row].tobytes())
    for batch in seen
    for row, i in enumerate(batch["annotation_id"])
  }
  assert len(crops) == 20  # augmented differently


def centroids(image: np.ndarray) -> np.ndarray:
  """(x, y) of each channel's blob [3, 2]."""
  y, x = np.mgrid[0 : image.shape[0], 0 : image.shape[1]]
  weight = image.astype(float)
  total = weight.sum((0, 1))
  return np.stack(
    [
      (weight * x[..., None]).sum((0, 1)) / total,
      (weight * y[..., None]).sum((0, 1)) / total,
    ],
    -1,
  )


@pytest.mark.parametrize("alignment", geometry.ALIGNMENTS)
@pytest.mark.parametrize("flip", [0.0, 1.0])
def test_keypoints_are_on_their_blobs(source, alignment, flip):
  conv = convention(alignment=alignment)
  varied = augment.Augmentation(
    scale_factor=0.1, rotation_factor=0.3, rotation_probability=1.0,
    flip_probability=flip, half_body_probability=0.0,
  )  # fmt: skip
  crop_from_heatmap = geometry.invert(conv.heatmap_from_crop())
  swap = list(conv.skeleton.flip_indices) if flip else [0, 1, 2]
  checked = 0
  for batch in take(4, [source], varied, convention=conv):
    points = geometry.apply_affine(
      crop_from_heatmap, batch["keypoints_heatmap"]
    )
    for image, found, visible in zip(
      batch["image"], points, batch["visibility"], strict=True
    ):
      inside = ((found > 14) & (found < np.array([60, 80]) - 14)).all(-1)
      use = (visible > 0) & inside
      # Rounding to grey levels and a blob cut at the border of the crop.
      np.testing.assert_allclose(
        centroids(image)[swap][use], found[use], atol=0.06
      )
      checked += use.sum()
  assert checked > 20


def test_image_from_heatmap_leads_back_to_the_annotation(source):
  labels = dict(
    zip(source.people.annotation_id, source.people.keypoints, strict=True)
  )
  identity, swap = [0, 1, 2], [0, 2, 1]
  flips = 0
  for batch in take(4, [source]):
    mapped = geometry.apply_affine(
      batch["image_from_heatmap"], batch["keypoints_heatmap"]
    )
    linear = batch["image_from_heatmap"][..., :2]
    for row, annotation_id in enumerate(batch["annotation_id"]):
      order = swap if np.linalg.det(linear[row]) < 0 else identity
      flips += order == swap
      label = labels[annotation_id][order]
      visible = label[:, 2] > 0
      np.testing.assert_array_equal(batch["visibility"][row], visible)
      # float32 of coordinates up to 111, px.
      np.testing.assert_allclose(
        mapped[row][visible], label[visible, :2], atol=1e-4
      )
  assert 0 < flips < 16


@pytest.mark.parametrize("alignment", geometry.ALIGNMENTS)
@pytest.mark.parametrize("flip", [False, True])
def test_a_flipped_crop_is_the_crop_of_the_mirrored_image(
  source, alignment, flip
):
  conv = convention(alignment=alignment)
  only_flip = dataclasses.replace(augment.NONE, flip_probability=float(flip))
  (batch,) = take(1, [source], only_flip, convention=conv)
  records = {
    r["image_id"]: r["image"] for r in source.dataset().as_numpy_iterator()
  }
  people = source.people
  for row in range(4):
    position = np.flatnonzero(
      people.annotation_id == batch["annotation_id"][row]
    )
    person = people.rows(position)
    box = people_table.clean_boxes(person, alignment=alignment)[0]
    center, scale, _ = conv.crop_from_box(box)
    image = tf_crop.decode_image(records[batch["image_id"][row]])
    if flip:
      image = image[:, ::-1]
      center[0] = image.shape[1] - 1 - center[0]
    image_from_crop = geometry.invert(conv.crop_from_image(center, scale))
    expected = tf_crop.warp(
      image, image_from_crop.astype(np.float32), CROP_SIZE
    )
    difference = np.abs(batch["image"][row].astype(int) - expected)
    assert difference.max() <= 1  # grey level, float32 rounding
    assert difference.mean() < 0.01
    assert batch["box_area"][row] == pytest.approx(scale.prod())


def test_batches_are_rgb_whatever_the_network_wants(source):
  (rgb,) = take(1, [source])
  (bgr,) = take(1, [source], convention=convention(channel_order="bgr"))
  assert_equal(rgb, bgr)  # the jitted step reverses the channels


def test_changed_pixels_leave_the_rest_and_are_the_same_again(source):
  changes = {"color_factor": 0.3, "occlusion_probability": 1.0}
  harder = dataclasses.replace(FULL, **changes, jpeg_probability=0.5)
  plain, changed = take(3, [source]), take(3, [source], harder)
  for one, other in zip(plain, changed, strict=True):
    difference = np.abs(one.pop("image") - other["image"].astype(float))
    assert (difference.max((1, 2, 3)) > 10).all()  # grey levels, of everyone
    assert_equal(one, {n: v for n, v in other.items() if n != "image"})
  assert_equal(take(3, [source], harder)[2], changed[2])


def test_none_shows_the_box_every_epoch(source):
  seen = {}
  for batch in take(4, [source], augment.NONE):
    for row, i in enumerate(batch["annotation_id"]):
      image = batch["image"][row]
      np.testing.assert_array_equal(seen.setdefault(i, image), image)


@pytest.mark.parametrize(("batch_size", "count"), [(4, 1), (2, 3), (16, 2)])
def test_evaluation_sees_everyone_once(source, batch_size, count):
  shares = [
    list(
      pipeline.eval_batches(
        source,
        convention(),
        batch_size=batch_size,
        process_index=i,
        process_count=count,
      )
    )
    for i in range(count)
  ]
  steps = {len(share) for share in shares}
  assert steps == {-(-11 // (batch_size * count))}
  batches = list(itertools.chain(*shares))
  ids = np.concatenate([b["annotation_id"] for b in batches])
  mask = np.concatenate([b["mask"] for b in batches])
  assert sorted(ids[mask > 0]) == source.people.annotation_id.tolist()
  assert (ids[mask == 0] == -1).all()
  assert set(mask) <= {0.0, 1.0}
  for batch in batches:
    assert len(batch["mask"]) == batch_size
    assert not batch["visibility"][batch["mask"] == 0].any()
    assert np.linalg.det(batch["image_from_heatmap"][..., :2]).all()


def test_evaluation_carries_scores_and_ids(source):
  (batch,) = pipeline.eval_batches(source, convention(), batch_size=11)
  np.testing.assert_array_equal(batch["image_id"], np.arange(11) + 1)
  np.testing.assert_array_equal(batch["annotation_id"], np.arange(11) + 101)
  np.testing.assert_array_equal(
    batch["score"], np.float32(0.5 + np.arange(11) / 32)
  )


def test_clean_boxes_by_hand(source):
  # Image 40 x 30 (width x height); last column 39, last row 29.
  people = source.people.rows(np.arange(3))
  people = dataclasses.replace(
    people,
    image_size=np.array([[30, 40]] * 3),
    bbox=np.array([[5, 6, 10, 8], [-3, 20, 10, 50], [39.5, 2, 9, 0.5]]),
  )
  dark = people_table.clean_boxes(people, alignment="dark")
  hrnet = people_table.clean_boxes(people, alignment="hrnet")
  np.testing.assert_allclose(dark[0], [5, 6, 10, 8])
  np.testing.assert_allclose(hrnet[0], [5, 6, 9, 7])
  # As in the official code, a corner that is moved in takes the box with it.
  np.testing.assert_allclose(dark[1], [0, 20, 10, 10])
  np.testing.assert_allclose(hrnet[1], [0, 20, 9, 9])
  assert (dark[2, 2:] == 1).all()
  assert (hrnet[2, 2:] == 1).all()


def test_boxes_are_not_clipped_where_the_convention_says_so(source):
  whole = crop_geometry.CropGeometry([source], convention(clip_boxes=False))
  boxes = whole.people.bbox.astype(np.float64)
  center, scale, _ = convention().crop_from_box(boxes)
  np.testing.assert_array_equal(whole.center, center)
  np.testing.assert_array_equal(whole.scale, scale)
  boxes[:, 0] = -30.0  # now every box leaves its image on the left
  outside = dataclasses.replace(
    source, people=dataclasses.replace(whole.people, bbox=boxes)
  )
  whole = crop_geometry.CropGeometry([outside], convention(clip_boxes=False))
  clipped = crop_geometry.CropGeometry([outside], convention())
  assert (clipped.center[:, 0] > whole.center[:, 0]).all()


def test_steps_per_epoch_drops_the_rest(source):
  count = sampler.steps_per_epoch
  assert count([source], global_batch_size=4) == 2
  assert count([source, source], global_batch_size=11) == 2
  with pytest.raises(ValueError, match="between 1 and 11 examples"):
    count([source], global_batch_size=12)


def test_wrong_arguments_are_refused_at_once(source):
  with pytest.raises(ValueError, match="has the keypoints"):
    take(1, [source], convention=convention(skeleton=skeletons.LSP))
  with pytest.raises(ValueError, match="no data sets"):
    take(1, [])
  with pytest.raises(ValueError, match="process_index"):
    take(1, [source], process_index=2, process_count=2)
  with pytest.raises(ValueError, match="between 1 and 11"):
    take(1, [source], batch_size=4, process_count=3)


def test_a_damaged_record_is_an_error_and_not_a_skip(tmp_path):
  annotations, images = coco_folder.write(tmp_path)
  cache = tmp_path / "cache"
  source = prepare.load(annotations, images, cache_dir=cache)
  (records,) = cache.rglob("*array_record-*")
  data = bytearray(records.read_bytes())
  data[1500:1600] = bytes(100)  # in one of the images; blocks have checksums
  records.write_bytes(data)
  source = prepare.load(annotations, images, cache_dir=cache)
  with pytest.raises(
    ValueError, match=r"coco_keypoints.*hash mismatch.*delete"
  ):
    take(2, [source], batch_size=3)
  records.unlink()
  with pytest.raises(ValueError, match="damaged or gone"):
    take(1, [prepare.load(annotations, images, cache_dir=cache)], batch_size=3)


def test_closing_an_iterator_ends_its_thread(source):
  import threading

  batches = pipeline.train_batches(
    [source], convention(), FULL, batch_size=4, seed=0
  )
  next(batches)
  names = [t.name for t in threading.enumerate()]
  assert any("darkjax-ahead" in name for name in names)
  batches.close()
  names = [t.name for t in threading.enumerate()]
  assert not any("darkjax-ahead" in name for name in names)


@pytest.mark.parametrize(
  ("change", "message"),
  [
    ({"mask": None}, r"missing: \['mask'\]"),
    ({"extra": np.zeros(4)}, r"unknown: \['extra'\]"),
    ({"visibility": np.zeros((4, 3))}, r"float32\[4, 3\].*float64"),
    ({"image": np.zeros((4, 60, 80, 3), np.uint8)}, r"uint8\[4, 80, 60, 3\]"),
    (
      {"keypoints_heatmap": np.full((4, 3, 2), np.nan, np.float32)},
      "holds NaN or infinity in rows",
    ),
  ],
)
def test_wrong_batches_are_refused(source, change, message):
  (batch,) = take(1, [source])
  batch = {**batch, **change}
  batch = {name: value for name, value in batch.items() if value is not None}
  with pytest.raises(ValueError, match=message):
    batch_check.check(batch, convention())


def test_to_device_fields_leaves_ids_on_the_host(source):
  (batch,) = take(1, [source])
  assert set(schema.to_device_fields(batch)) == set(schema.DEVICE_FIELDS)
  assert not {"image_id", "annotation_id"} & set(schema.DEVICE_FIELDS)


def test_photographs(test_data, tmp_path):
  folder = test_data / "coco_detections"
  source = prepare.load(
    folder / "person_keypoints.json", folder / "images", cache_dir=tmp_path
  )
  conv = convention(
    skeleton=skeletons.COCO, crop_size=(128, 96), heatmap_size=(32, 24)
  )
  batches = list(pipeline.eval_batches(source, conv, batch_size=8))
  content = json.loads(source.annotations.read_text())
  labels = {
    a["id"]: np.reshape(a["keypoints"], (17, 3)) for a in content["annotations"]
  }
  # 14 people, of whom two have no labelled keypoint.
  assert sum(b["mask"].sum() for b in batches) == 12
  for batch in batches:
    mapped = geometry.apply_affine(
      batch["image_from_heatmap"], batch["keypoints_heatmap"]
    )
    for row in np.flatnonzero(batch["mask"]):
      label = labels[batch["annotation_id"][row]]
      visible = label[:, 2] > 0
      # float32 of coordinates up to 640, px.
      np.testing.assert_allclose(
        mapped[row][visible], label[visible, :2], atol=1e-3
      )
