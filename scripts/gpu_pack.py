r"""Packs of people as WebP pictures, to carry to a machine with a GPU.

    python scripts/gpu_pack.py --out=carried --mib=45 --config.data.root=DATA \
      --config=configs/coco_hrnet_w32_128x96.py --train=lsp.json:lsp/images \
      --val=val.json:val/images

packs data sets as `python -m darkjax.data.pack` does, but stores each person's
canvas as a WebP picture of the best quality that fits (JPEG's headers alone
would take 10 MB for 17,000 people). There, without TensorFlow,

    python scripts/gpu_pack.py --expand=carried --out=packs

decodes them on all cores into packs that training with data.source="resident"
reads; packs.json in the folder says which are for training. Canvases hold the
crops of the configuration and of its biased variant.
"""

import io
import json
import pathlib
import shutil
import time
import types
from collections.abc import Iterator

import numpy as np
from absl import flags as absl_flags
from PIL import Image

from darkjax import convention as convention_lib
from darkjax import skeletons
from darkjax.data import batch as batch_lib
from darkjax.data.pack import batches, files
from darkjax.data.pack.files import Pack
from darkjax.data.pack.layout import Layout
from darkjax.data.people_table import People
from darkjax.data.pipeline import augment
from darkjax.runtime import command, startup
from darkjax.runtime.prefetch import map_ahead

QUALITIES = (95, 90, 85, 80, 75, 70, 60, 50, 40, 30)
_SAMPLE = 25  # one canvas of so many is tried
# More than the half pixel by which crops of two alignments differ.
_MORE_SCALE = 0.03
_TABLES = ("people.npz", "canvases.npz", "pack.json")
_OF_DATASET = "category_ids box_source labels_digest num_bytes upright".split()


def main(flags: command.Flags, _) -> None:
  """Packs data sets, or with --expand decodes what was packed."""
  startup.start()
  out = pathlib.Path(flags.out)
  if flags.expand:
    expand(pathlib.Path(flags.expand), out)
    return
  if not flags.config or not flags.train:
    raise absl_flags.Error("packing needs --config and --train, see --help")
  if out.exists() and any(out.iterdir()) and not (out / "packs.json").exists():
    raise ValueError(f"{out} holds something else; name a new folder")
  shutil.rmtree(out, ignore_errors=True)
  packs = pack(flags.config, flags.train, flags.val, out / "raw")
  quality = choose_quality([p for ps in packs.values() for p in ps], flags.mib)
  for some in packs.values():
    for one in some:
      squeeze(one, out / one.folder.name, quality, labels=one in packs["val"])
  shutil.rmtree(out / "raw")
  pairs = {
    "train": list(map(pair_of, flags.train)),
    "val": list(map(pair_of, flags.val)),
  }
  (out / "packs.json").write_text(json.dumps(pairs | {"quality": quality}))
  size = sum(f.stat().st_size for f in out.rglob("*") if f.is_file())
  people = {use: sum(len(p.people) for p in ps) for use, ps in packs.items()}
  print(f"{people} people, quality {quality}, {size / 2**20:.1f} MiB: {out}")


def pack(
  config, train: list[str], val: list[str], folder: pathlib.Path
) -> dict[str, list[Pack]]:
  """Packs data sets, each JSON:IMAGES; returns them by use."""
  from darkjax.data.coco import prepare  # TensorFlow
  from darkjax.data.pack import build

  augmentation = augment.from_config(config.augmentation)
  wider = augment.from_config(
    config.augmentation.to_dict()
    | {"scale_factor": augmentation.scale_factor + _MORE_SCALE}
  )
  packs: dict[str, list[Pack]] = {"train": [], "val": []}
  root = pathlib.Path(config.data.root)
  for use, name in [("train", n) for n in train] + [("val", n) for n in val]:
    annotations, images = pair_of(name)
    source = prepare.load(
      root / annotations, root / images, cache_dir=config.data.cache
    )
    convention = convention_of(config, source.skeleton)
    varied = (
      wider
      if use == "train"
      else augment.Augmentation(_MORE_SCALE, 0.0, 0.0, 0.0, 0.0)
    )
    target = files.folder_of(folder, annotations, images)
    packs[use].append(build.pack(source, target, convention, varied))
  check_covers(packs["train"], config, augmentation)
  return packs


def pair_of(name: str) -> tuple[str, str]:
  """Returns (json, images) of JSON:IMAGES."""
  annotations, _, images = name.partition(":")
  return annotations, images


def convention_of(config, skeleton, **changes) -> convention_lib.Convention:
  """Returns the convention of a configuration, changed in some fields."""
  fields = config.convention.to_dict() | changes
  return convention_lib.from_config(fields, skeleton=skeleton)


def check_covers(packs, config, augmentation) -> None:
  """Raises ValueError unless canvases hold the crops of both variants."""
  for alignment in ("dark", "hrnet"):
    convention = convention_of(config, packs[0].skeleton, alignment=alignment)
    stream = batches.train_batches(
      files.assign_pages(packs), convention, augmentation, batch_size=1, seed=0
    )
    assert set(batch_lib.CANVAS) <= set(next(stream))
    stream.close()


def choose_quality(packs: list[Pack], mib: float) -> int:
  """Returns the best quality at which all canvases fit, by a sample of them.

  Raises:
    absl.flags.Error: they do not fit at the lowest.
  """
  sizes = {}
  for quality in QUALITIES:
    sizes[quality] = sum(
      len(encode(pack.canvas(i), quality)) * _SAMPLE
      for pack in packs
      for i in range(0, len(pack.people), _SAMPLE)
    )
    if sizes[quality] <= mib * 2**20:
      return quality
  raise absl_flags.Error(
    f"the canvases take {sizes[QUALITIES[-1]] / 2**20:.0f} MiB at quality "
    f"{QUALITIES[-1]}, more than --mib={mib:g}; leave out a data set"
  )


def encode(canvas: np.ndarray, quality: int) -> bytes:
  """Returns a canvas [h, w, 3] uint8 as a WebP picture."""
  file = io.BytesIO()
  Image.fromarray(canvas).save(file, "WEBP", quality=quality, method=6)
  return file.getvalue()


def squeeze(
  pack: Pack, folder: pathlib.Path, quality: int, *, labels: bool
) -> None:
  """Writes a pack with pictures for pixels; `labels` are for scoring."""
  folder.mkdir(parents=True)
  for name in _TABLES:
    shutil.copyfile(pack.folder / name, folder / name)
  people = np.load(folder / "people.npz")
  np.savez_compressed(folder / "people.npz", **people)
  text = pack.annotations.read_text() if labels else "{}"
  (folder / "labels.json").write_text(text)
  pictures = [encode(pack.canvas(i), quality) for i in range(len(pack.people))]
  np.save(folder / "ends.npy", np.cumsum([len(one) for one in pictures]))
  (folder / "canvases.webp").write_bytes(b"".join(pictures))


def expand(source: pathlib.Path, out: pathlib.Path) -> None:
  """Decodes all packs of a folder, and prints how long it took."""
  pairs = json.loads((source / "packs.json").read_text())
  start, count = time.perf_counter(), 0
  for pair in pairs["train"] + pairs["val"]:
    folders = (files.folder_of(folder, *pair) for folder in (source, out))
    count += _expand_pack(*folders)
  shutil.copyfile(source / "packs.json", out / "packs.json")
  seconds = time.perf_counter() - start
  print(f"{count} canvases in {seconds:.1f} s, {count / seconds:.0f} a second")


def _expand_pack(source: pathlib.Path, folder: pathlib.Path) -> int:
  """Writes a pack; returns its number of canvases."""
  description = json.loads((source / "pack.json").read_text())
  layout = Layout(**_arrays(source / "canvases.npz"))
  dataset = types.SimpleNamespace(
    people=People(**_arrays(source / "people.npz")),
    annotations=source / "labels.json",
    skeleton=skeletons.from_json(description["skeleton"]),
    **{name: description[name] for name in _OF_DATASET},
  )
  folder.parent.mkdir(parents=True, exist_ok=True)
  files.write(
    folder,
    _decoded(source),
    dataset,
    layout,
    width=description["width"],
    boxes_digest=description["boxes_digest"],
  )
  return len(layout.size)


def _decoded(source: pathlib.Path) -> Iterator[np.ndarray]:
  """Yields the canvases in order, decoded by threads."""
  ends = np.load(source / "ends.npy")
  starts = np.concatenate([[0], ends[:-1]])
  data = (source / "canvases.webp").read_bytes()

  def decode(place) -> np.ndarray:
    start, end = place
    return np.asarray(Image.open(io.BytesIO(data[start:end])))

  places = zip(starts, ends, strict=True)
  return map_ahead(decode, places, ahead=256, threads=None)


def _arrays(path: pathlib.Path) -> dict[str, np.ndarray]:
  with np.load(path, allow_pickle=False) as arrays:
    return dict(arrays)


def define_flags(define: command.Define) -> None:
  """Adds the flags of the script."""
  define.config("config", None, "A file of configs/.")
  define.multi_string("train", [], "Data set to train on, JSON:IMAGES.")
  define.multi_string("val", [], "Data set to score on, JSON:IMAGES.")
  define.string("out", None, "Folder to write.")
  define.float("mib", 45.0, "Most that the pictures may take.")
  define.string("expand", None, "Folder that this script packed, to decode.")
  define.required(["out"])


if __name__ == "__main__":
  command.run(main, define_flags)
