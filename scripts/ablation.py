"""Which part of DARK gives what: Tables 1 to 3 of the paper, and the full grid.

    python scripts/ablation.py --checkpoint-biased=runs/quickstart_biased \
        --checkpoint-unbiased=runs/quickstart

Evaluates encoder × decoder × alignment × flip shift. The encoder is in the
weights, so each needs a checkpoint; with one, the other's rows say "not given".
Each checkpoint runs once per alignment (over crops and mirrors); decoders and
flip shifts read the same heatmaps. Prints markdown:

  Tables 1-3   each checkpoint under the convention it was trained with, beside
               the paper's numbers: HRNet-W32 128x96, COCO val2017, detected
               boxes. "dark" is darkjax's (border="refine").
  The grid     what the paper does not have. A * marks numbers of a checkpoint
               under an alignment or flip shift it was not trained with.

--out=grid.json writes every metric of every cell, --out=grid.md the text.
"""

import dataclasses
import functools
import json
import pathlib
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import ablation_grid
import ablation_report
import jax
from ablation_report import ENCODERS, Measured
from absl import app, flags

from darkjax import checkpoint, models
from darkjax.convention import Convention
from darkjax.data import from_config
from darkjax.data.people_table import GT_BOXES
from darkjax.inference.ensemble import Member
from darkjax.runtime import startup

if TYPE_CHECKING:
  from darkjax.data.prepared import Source

HELP = """\
No checkpoint given. The grid compares weights trained on biased targets with
weights trained on unbiased ones; one of the two will do for its half.

Minutes on two CPU cores, synthetic people:
  python -m darkjax.data.synthetic --out=data/synthetic --train=2500 --val=250
{quickstart}
An hour each on two CPU cores, LSP (scripts/prepare_lsp.py --help):
{lsp_hrnet_small_128x96}
The paper's network, COCO and a GPU (configs/coco_hrnet_w32_128x96.py says what
DATA and WEIGHTS are; add --config.pretrained=WEIGHTS):
{coco_hrnet_w32_128x96}
Then
  python scripts/ablation.py --checkpoint-biased=runs/NAME_biased \\
      --checkpoint-unbiased=runs/NAME
"""


def help_text() -> str:
  """How to train a pair of checkpoints."""
  roots = {
    "quickstart": "data/synthetic",
    "lsp_hrnet_small_128x96": "DATA",
    "coco_hrnet_w32_128x96": "DATA",
  }
  commands = {
    name: "\n".join(
      f"  python -m darkjax.train --config=configs/{name}.py{variant} \\\n"
      f"      --workdir=runs/{name}{suffix} --config.data.root={root}"
      for variant, suffix in ((":biased", "_biased"), ("", ""))
    )
    for name, root in roots.items()
  }
  return HELP.format(**commands)


def check_encoder(folder: str, encoder: str, convention: Convention) -> None:
  """Refuses weights trained on the other kind of targets."""
  found = "unbiased" if convention.quantize == "none" else "biased"
  if found != encoder:
    raise ValueError(
      f"--checkpoint-{encoder} names weights trained on {encoder} targets, "
      f"{folder} says quantize={convention.quantize!r}, which is {found}; "
      f"give it as --checkpoint-{found}"
    )


def first_people(
  source: "Source", limit: int, folder: pathlib.Path
) -> tuple["Source", pathlib.Path]:
  """The first people, and a json in `folder` that knows of no other.

  Detected boxes do not say whom they show; the json then has everyone in their
  images.
  """
  few = dataclasses.replace(source, people=source.people.rows(slice(0, limit)))
  content = json.loads(pathlib.Path(source.annotations).read_text())
  people = set(few.people.annotation_id.tolist())
  images = set(few.people.image_id.tolist())
  known = source.box_source == GT_BOXES
  content["annotations"] = [
    person
    for person in content["annotations"]
    if (person["id"] in people if known else person["image_id"] in images)
  ]
  content["images"] = [i for i in content["images"] if i["id"] in images]
  path = folder / "people.json"
  path.write_text(json.dumps(content))
  return few, path


def measure(
  folders: dict[str, str],
  crops: Callable,
  annotations: pathlib.Path,
  category_ids: Sequence,
  box_source: str,
) -> dict[str, Measured]:
  """The grid of each encoder's checkpoint, see `grid.evaluate`."""
  measured = {}
  for encoder, folder in folders.items():
    variables, metadata = checkpoint.load(folder)
    check_encoder(folder, encoder, metadata.convention)
    model = models.create_model(**metadata.model)
    member = Member(model, variables, metadata.convention)
    cells = ablation_grid.evaluate(
      member,
      crops,
      annotations,
      category_ids=category_ids,
      box_source=box_source,
    )
    measured[encoder] = Measured(folder, metadata.convention, cells, box_source)
  return measured


def main(argv: Sequence[str]) -> None:
  """Measures, prints and writes; see the flags."""
  del argv
  folders = {e: FLAGS[f"checkpoint_{e}"].value for e in ENCODERS}
  folders = {e: folder for e, folder in folders.items() if folder}
  if not folders:
    sys.exit(help_text())
  startup.start()
  from darkjax.data.coco import detections  # TensorFlow
  from darkjax.data.pipeline import batches

  first = next(iter(folders.values()))
  metadata = checkpoint.load(first)[1]
  annotations, images = from_config.validation_paths(
    first,
    metadata.config,
    annotations=FLAGS.annotations,
    images=FLAGS.images,
    root=FLAGS.root,
  )
  source = detections.load(
    annotations,
    images,
    FLAGS.boxes,
    category=from_config.validation_category(
      metadata.config, named=FLAGS.category, annotations=FLAGS.annotations
    ),
    skeleton=metadata.convention.skeleton,
    score_threshold=FLAGS.box_threshold,
    cache_dir=FLAGS.cache,
  )
  start = time.monotonic()
  with tempfile.TemporaryDirectory() as folder:
    if FLAGS.limit:
      source, annotations = first_people(
        source, FLAGS.limit, pathlib.Path(folder)
      )
    crops = functools.partial(
      batches.eval_batches, source, batch_size=FLAGS.batch_size
    )
    measured = measure(
      folders, crops, annotations, source.category_ids, source.box_source
    )
  used = {
    "data": str(source.annotations),
    "people": source.num_people,
    "boxes": f"{FLAGS.boxes} ({source.box_source})",
    "flip test": True,
    "device": f"{jax.device_count()} x {jax.devices()[0].device_kind}",
    "seconds": round(time.monotonic() - start),
  }
  text = ablation_report.report(measured, used, FLAGS.metrics)
  print(text)
  for path in map(pathlib.Path, FLAGS.out):
    path.parent.mkdir(parents=True, exist_ok=True)
    as_json = path.suffix == ".json"
    path.write_text(
      ablation_report.as_json(measured, used) if as_json else text + "\n"
    )


if __name__ == "__main__":
  FLAGS = flags.FLAGS
  for name in ENCODERS:
    flags.DEFINE_string(
      f"checkpoint_{name}", None, f"Folder of weights of {name} targets."
    )
    flags.DEFINE_alias(f"checkpoint-{name}", f"checkpoint_{name}")
  flags.DEFINE_string("root", None, "Where the run's data lies now.")
  flags.DEFINE_string(
    "annotations", None, "COCO-format json; default: the run's validation set."
  )
  flags.DEFINE_string("images", None, "Folder of its images.")
  flags.DEFINE_string("category", "", "Which, if several differ.")
  flags.DEFINE_string(
    "boxes", "gt", "'gt', the labels', or a json of detections."
  )
  flags.DEFINE_float("box_threshold", 0.0, "Lowest score of a detection.")
  flags.DEFINE_string("cache", "", "Folder for prepared records.")
  flags.DEFINE_integer("batch_size", 64, "People in all devices together.")
  flags.DEFINE_integer(
    "limit", 0, "Only the first so many people; 0: all.", lower_bound=0
  )
  flags.DEFINE_list("metrics", "AP,error_px", "Of which the grid is printed.")
  flags.DEFINE_multi_string("out", [], "Write here: *.json, or *.md.")
  app.run(main)
