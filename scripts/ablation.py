"""Ablation of DARK: Tables 1 to 3 of the paper, and the full grid.

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
from typing import TYPE_CHECKING

import ablation_grid
import ablation_report
import jax
from ablation_report import ENCODERS, Measured

from darkjax import checkpoint
from darkjax.convention import Convention
from darkjax.data.people_table import GT_BOXES
from darkjax.evaluate import dataset
from darkjax.inference.predictor import Predictor
from darkjax.runtime import command, startup

if TYPE_CHECKING:
  from darkjax.data.prepared import PreparedDataset

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
  """Returns how to train a pair of checkpoints."""
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
  trained = "unbiased" if convention.quantize == "none" else "biased"
  if trained != encoder:
    raise ValueError(
      f"--checkpoint-{encoder} names weights trained on {encoder} targets, "
      f"{folder} says quantize={convention.quantize!r}, which is {trained}; "
      f"give it as --checkpoint-{trained}"
    )


def first_people(
  source: "PreparedDataset", limit: int, folder: pathlib.Path
) -> tuple["PreparedDataset", pathlib.Path]:
  """Returns the first people, and a json in `folder` of them alone.

  Detected boxes belong to nobody; the json then has everyone in their images.
  """
  few = dataclasses.replace(source, people=source.people.rows(slice(0, limit)))
  content = json.loads(pathlib.Path(source.annotations).read_text())
  people = set(few.people.annotation_id.tolist())
  images = set(few.people.image_id.tolist())
  own_boxes = source.box_source == GT_BOXES
  content["annotations"] = [
    person
    for person in content["annotations"]
    if (person["id"] in people if own_boxes else person["image_id"] in images)
  ]
  content["images"] = [i for i in content["images"] if i["id"] in images]
  path = folder / "people.json"
  path.write_text(json.dumps(content))
  return few, path


def main(flags: command.Flags, _) -> None:
  """Measures, prints and writes; see the flags."""
  folders = {e: flags[f"checkpoint_{e}"].value for e in ENCODERS}
  folders = {e: folder for e, folder in folders.items() if folder}
  if not folders:
    sys.exit(help_text())
  startup.start()
  start = time.monotonic()
  with tempfile.TemporaryDirectory() as folder:
    source, annotations = read_people(
      next(iter(folders.values())), flags, pathlib.Path(folder)
    )
    measured = {
      encoder: measure(run, encoder, source, annotations, flags)
      for encoder, run in folders.items()
    }
  used = {
    "data": str(source.annotations),
    "people": source.num_people,
    "boxes": f"{flags.boxes} ({source.box_source})",
    "flip test": True,
    "device": f"{jax.device_count()} x {jax.devices()[0].device_kind}",
    "seconds": round(time.monotonic() - start),
  }
  text = ablation_report.report(measured, used, flags.metrics)
  print(text)
  for path in map(pathlib.Path, flags.out):
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".json":
      path.write_text(ablation_report.as_json(measured, used))
    else:
      path.write_text(text + "\n")


def read_people(
  run: str, flags, folder: pathlib.Path
) -> tuple["PreparedDataset", pathlib.Path]:
  """Returns a run's validation set, or that of the flags, and its labels."""
  from darkjax.data.coco import detections  # TensorFlow

  metadata = checkpoint.load(run)[1]
  annotations, images = dataset.paths(run, metadata, flags)
  source = detections.load(
    annotations,
    images,
    flags.boxes,
    score_threshold=flags.box_threshold,
    **dataset.options(metadata, flags),
  )
  if flags.limit:
    return first_people(source, flags.limit, folder)
  return source, annotations


def measure(
  folder: str, encoder: str, source: "PreparedDataset", annotations, flags
) -> Measured:
  """Returns the grid of a checkpoint, see `ablation_grid.evaluate`."""
  from darkjax.data.pipeline import batches  # TensorFlow

  predictor = Predictor.from_checkpoint(folder)
  check_encoder(folder, encoder, predictor.convention)
  cells = ablation_grid.evaluate(
    predictor,
    functools.partial(
      batches.eval_batches, source, batch_size=flags.batch_size
    ),
    annotations,
    category_ids=source.category_ids,
    box_source=source.box_source,
  )
  return Measured(folder, predictor.convention, cells, source.box_source)


def define_flags(define: command.Define) -> None:
  """Adds the flags of the command."""
  for name in ENCODERS:
    define.string(
      f"checkpoint_{name}", None, f"Folder of weights of {name} targets."
    )
  dataset.define_flags(define)
  define.string("boxes", "gt", "'gt', the labels', or a json of detections.")
  define.float("box_threshold", 0.0, "Lowest score of a detection.")
  define.integer("batch_size", 64, "People in all devices together.")
  define.integer("limit", 0, "Use only the first people; 0 for all.", 0)
  define.list("metrics", "AP,error_px", "Metrics to print the grid of.")
  define.multi_string("out", [], "File to write: *.json, or *.md.")


if __name__ == "__main__":
  command.run(main, define_flags)
