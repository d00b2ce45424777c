"""Fine-tuning on few labels, from trained weights and from scratch.

    python scripts/finetune.py --config=lsp_hrnet_small_128x96 --data=DATA \
        --workdir=runs/finetune

trains on 100 and 1,000 faces (DATA/faces68, 68 points) and on wrists and ankles
of as many people (DATA/lsp), three seeds each, from --pretrained and, with the
same network and convention, from scratch; and scores the test sets. A run adds
a line to results.jsonl in the workdir, table.md shows all. Started again, it
continues. The people are spread evenly over the labels, the same for all seeds.
--config.FIELD=VALUE changes what all runs have in common.
"""

import json
import pathlib
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import bench
import jax
import ml_collections
import numpy as np
from flax import traverse_util
from reproduction import report
from reproduction.verdicts import NOT_RUN, Spread

from darkjax import checkpoint, skeletons
from darkjax.checkpoint.metadata import Metadata
from darkjax.data import from_config
from darkjax.evaluate import crops, predict
from darkjax.inference.pose import PRETRAINED
from darkjax.inference.predictor import Predictor
from darkjax.metrics import pck
from darkjax.runtime import command, files, preemption, startup
from darkjax.train.log import whole_lines

STARTS = ("scratch", "pretrained")


class Task(NamedTuple):
  """Labels to train on, in the folder of the data."""

  folder: str
  keypoints: tuple[str, ...]  # those that are kept; () for all
  reference: tuple[str, str]  # keypoints whose distance is the unit of errors
  metrics: tuple[str, ...]  # in the table


TASKS = {
  "faces": Task("faces68", (), ("point_37", "point_46"), ("NME",)),
  "limbs": Task(
    "lsp",
    ("left_wrist", "right_wrist", "left_ankle", "right_ankle"),
    ("left_shoulder", "right_hip"),
    ("PCK@0.2", "PCK@0.05"),
  ),
}


class Cell(NamedTuple):
  """One training."""

  task: str
  people: int
  start: str  # one of `STARTS`
  seed: int

  @property
  def name(self) -> str:
    """Name of its folder."""
    return f"{self.task}-{self.people}-{self.start}-seed{self.seed}"


def read_labels(data: str, task: Task, split: str) -> dict[str, Any]:
  """Returns the content of a split's json."""
  file = f"{task.folder}/annotations/person_keypoints_{split}.json"
  return json.loads(pathlib.Path(data, file).read_text())


def choose(
  content: dict[str, Any], keypoints: Sequence[str], people: int
) -> dict[str, Any]:
  """Returns some keypoints (() for all) of people spread evenly (0 for all).

  Raises:
    ValueError: there are fewer people.
  """
  annotations, (category,) = content["annotations"], content["categories"]
  if people > len(annotations):
    raise ValueError(
      f"--people and --test_people: there are {len(annotations)} people in the "
      f"labels, got {people}"
    )
  step = len(annotations) / (people or len(annotations))
  chosen = [annotations[int(n * step)] for n in range(people)] or annotations
  if keypoints:
    index = [category["keypoints"].index(name) for name in keypoints]
    chosen = [_keep_keypoints(person, index) for person in chosen]
    # Pairs are read from the names; limbs between others make no sense.
    category = {"keypoints": list(keypoints)} | {
      name: category[name] for name in ("id", "name")
    }
  ids = {person["image_id"] for person in chosen}
  images = [image for image in content["images"] if image["id"] in ids]
  fields = {"images": images, "annotations": chosen, "categories": [category]}
  return content | fields


def _keep_keypoints(person, index: Sequence[int]) -> dict[str, Any]:
  kept = np.reshape(person["keypoints"], (-1, 3))[list(index)]
  count = int((kept[:, 2] > 0).sum())
  fields = {"keypoints": kept.ravel().tolist(), "num_keypoints": count}
  return person | fields


def reference_lengths(
  content: dict[str, Any], task: Task, annotation_ids: np.ndarray
) -> np.ndarray:
  """Returns [N] px, by the labels of all keypoints."""
  people = content["annotations"]
  skeleton = skeletons.from_coco_category(content["categories"][0])
  labels = np.reshape([p["keypoints"] for p in people], (len(people), -1, 3))
  lengths = pck.length_between(
    labels[..., :2], labels[..., 2], skeleton, task.reference
  )
  by_id = dict(zip((person["id"] for person in people), lengths, strict=True))
  return np.array([by_id[int(i)] for i in annotation_ids])


def write_labels(workdir: pathlib.Path, flags, cell: Cell) -> tuple[Any, Any]:
  """Writes the jsons of a cell; returns data.train and data.val."""
  task = TASKS[cell.task]
  images = str(pathlib.Path(flags.data, task.folder, "images").resolve())
  pairs = []
  for split, people in (("train", cell.people), ("test", flags.test_people)):
    path = workdir / "labels" / f"{cell.task}-{split}-{people or 'all'}.json"
    content = read_labels(flags.data, task, split)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(choose(content, task.keypoints, people)))
    pairs.append((str(path), images))
  return (pairs[0],), pairs[1]


def configure(
  cell: Cell, flags: command.Flags, weights: Metadata, workdir: pathlib.Path
) -> ml_collections.ConfigDict:
  """Returns the configuration of a cell."""
  config = flags.config.copy_and_resolve_references()
  config.seed = cell.seed
  config.pretrained = flags.pretrained if cell.start == "pretrained" else ""
  model = dict(weights.model)
  for name in ("num_keypoints", "bn_axis_name"):
    model.pop(name, None)
  config.model.name = model.pop("name")
  config.model.dtype = model.pop("dtype", "float32")
  config.model.overrides = ml_collections.ConfigDict(model)
  for name in config.convention:
    value = getattr(weights.convention, name)
    config.convention[name] = 0.0 if value is None else value
  config.data.train, config.data.val = write_labels(workdir, flags, cell)
  config.data.cache = str(workdir / "cache")
  config.augmentation.half_body_probability = 0.0
  steps_per_epoch = max(cell.people // config.train.batch_size, 1)
  epochs = max(round(flags.steps / steps_per_epoch), 1)
  config.optimizer.milestones = (0.6 * epochs, 0.85 * epochs)
  config.train.epochs = config.train.evaluate_every_epochs = epochs
  config.train.checkpoint_every_epochs = max(epochs // 10, 1)
  config.train.keep_checkpoints = 1
  config.evaluate.methods = (weights.convention.default_method,)
  return config


def recipe(config: ml_collections.ConfigDict) -> dict[str, Any]:
  """Returns the fields by dotted name, without folders of the machine."""
  fields = traverse_util.flatten_dict(config.to_dict(), sep=".")
  fields = {n: v for n, v in fields.items() if not n.startswith("data.")}
  labels = config.data.train[0][0], config.data.val[0]
  fields["labels"] = [pathlib.Path(path).name for path in labels]
  return json.loads(json.dumps(fields))


def score(run: pathlib.Path, cell: Cell, flags) -> dict[str, float]:
  """Returns the metrics of a run on its test set, in percent."""
  predictor, task = Predictor.from_checkpoint(run), TASKS[cell.task]
  source = from_config.prepare_validation(
    ml_collections.ConfigDict(predictor.config), 0.0
  )
  batches = crops.read_batches(
    source, [predictor], flags.config.evaluate.batch_size
  )
  method = predictor.convention.default_method
  found = predict.predict_dataset([predictor], batches, methods=[method])
  content = read_labels(flags.data, task, "test")
  lengths = reference_lengths(content, task, found.annotation_ids)
  people = found.keypoints[method], found.truth, found.visible, lengths
  shares = {f"PCK@{t}": pck.pck(*people, t).mean for t in (0.2, 0.05)}
  numbers = {"NME": pck.normalized_mean_error(*people)} | shares
  return {name: 100 * value for name, value in numbers.items()}


def table(lines: Sequence[dict[str, Any]], cells: Sequence[Cell]) -> str:
  """Returns the results as markdown; differences are taken seed by seed."""
  by_cell = {Cell(**line["cell"]): line for line in lines}
  rows = ["| labels | people | metric | scratch | pretrained | difference |"]
  rows.append("| --- " * 6 + "|")
  for task, people in dict.fromkeys(cell[:2] for cell in cells):
    seeds = [c.seed for c in cells if c[:3] == (task, people, STARTS[0])]
    for metric in TASKS[task].metrics:
      of_start = {
        start: {
          seed: by_cell[cell]["metrics"][metric]
          for seed in seeds
          if (cell := Cell(task, people, start, seed)) in by_cell
        }
        for start in STARTS
      }
      scratch, begun = of_start.values()
      gaps = [begun[s] - scratch[s] for s in scratch if s in begun]
      texts = [Spread(tuple(v.values())).text() for v in of_start.values()]
      texts.append(Spread(tuple(gaps)).text("+") if gaps else NOT_RUN)
      rows.append(f"| {task} | {people} | {metric} | {' | '.join(texts)} |")
  made = {(line["commit"], line["machine"]) for line in lines}
  rows += ["", *(f"Commit {one}; {machine}." for one, machine in sorted(made))]
  return "\n".join(rows)


def plan(flags: command.Flags) -> list[Cell]:
  """Returns the cells; those of the first seed come first."""
  return [
    Cell(task, int(people), start, seed)
    for seed in range(flags.seeds)
    for task in flags.tasks
    for people in flags.people
    for start in STARTS
  ]


def check_recipes(lines, configs: dict[Cell, Any]) -> None:
  """Refuses results of another recipe, which would be mixed with new ones."""
  for line in lines:
    cell, before = Cell(**line["cell"]), line["recipe"]
    now = recipe(configs[cell]) if cell in configs else before
    # Fields that one of them lacks are of another version.
    changed = [n for n in now if n in before and now[n] != before[n]]
    if changed:
      raise ValueError(
        f"{cell.name} was trained with another recipe ({', '.join(changed)}); "
        "take another --workdir"
      )


def main(flags: command.Flags, _) -> None:
  """Trains and scores what is left."""
  from darkjax.train import loop  # TensorBoard

  startup.start()
  workdir = pathlib.Path(flags.workdir).resolve()
  small = flags.pretrained == "small"
  weights = checkpoint.load(PRETRAINED if small else flags.pretrained)[1]
  cells, results = plan(flags), workdir / "results.jsonl"
  configs = {cell: configure(cell, flags, weights, workdir) for cell in cells}
  lines = whole_lines(results)
  check_recipes(lines, configs)
  done = {Cell(**line["cell"]) for line in lines}
  with preemption.Stop().listening() as stop:
    for cell in (cell for cell in cells if cell not in done):
      start, run = time.monotonic(), workdir / cell.name
      loop.train(configs[cell], str(run), stop=stop)
      line = {"cell": cell._asdict(), "metrics": score(run, cell, flags)}
      line |= {"seconds": round(time.monotonic() - start)}  # since this start
      line |= {"commit": bench.commit(), "machine": bench.machine()}
      lines.append(line | {"recipe": recipe(configs[cell])})
      text = "".join(json.dumps(one) + "\n" for one in lines)
      files.write_whole(results, text.encode())
      text = table(lines, cells) + "\n"
      files.write_whole(workdir / "table.md", text.encode())
      jax.clear_caches()  # a run's programs are its own
  text = table(lines, cells)
  print(text)
  if flags.report:
    report.write(pathlib.Path(flags.report), "finetune", text)


def define_flags(define: command.Define) -> None:
  """Adds the flags of the command."""
  define.string("workdir", None, "Folder of all runs.")
  define.string("data", None, "Folder that holds faces68/ and lsp/.")
  define.string("pretrained", "small", "Weights, as of config.pretrained.")
  define.config("config", None, "Recipe, but for network and length.")
  define.list("tasks", ",".join(TASKS), "Labels to train on.")
  define.check("tasks", set(TASKS).issuperset, f"is of {sorted(TASKS)}")
  define.list("people", "100,1000", "Numbers of people to train on.")
  define.check(
    "people", lambda n: all(x.isdecimal() and int(x) for x in n), "are above 0"
  )
  define.integer("test_people", 0, "People to score; 0 for all.", 0)
  define.integer("seeds", 3, "Runs of each.", 1)
  define.integer("steps", 3000, "Steps of every run, about.", 1)
  define.string("report", "", "Page to write the table into.")
  define.required(["config", "workdir", "data"])


if __name__ == "__main__":
  command.run(main, define_flags)
