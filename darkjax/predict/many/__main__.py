"""Prediction on very many photographs, by Ray Data.

    darkjax predict-many --input="photos/**/*.jpg" --out=found

One process a GPU, or `--workers` of them on processors, of this machine or,
with `--address`, of a Ray cluster whose machines share the folders. `--out`
receives part-NUMBER.parquet, a row a photograph with its people, or with the
error for which it could not be read. Started again with the same flags, a run
goes on with the parts that are missing. Needs `pip install "darkjax[ray]"`.
"""

import collections
import logging
import os
import pathlib
import signal
import time
from collections.abc import Iterator, Sequence
from typing import Any

import jax
from tqdm import tqdm

from darkjax.convention import METHODS
from darkjax.heatmaps.options import BORDERS
from darkjax.inference.detectors import load
from darkjax.inference.pose import PRETRAINED
from darkjax.metrics import coco
from darkjax.runtime import command, extras, startup

_LOG = logging.getLogger(__name__)


def main(flags: command.Flags, arguments: Sequence[str]) -> int:
  """Predicts the people of all photographs that the run has not yet read."""
  if arguments:
    raise ValueError(f"photographs are given by --input, got {arguments[0]}")
  startup.start()
  ray = _import_ray()
  from darkjax.predict.many import shards, worker

  settings = worker.Settings(
    checkpoint=flags.checkpoint or str(PRETRAINED),
    detector=flags.detector,
    min_box_score=flags.min_box_score,
    method=flags.method,
    border=flags.border,
    flip_test=flags.flip_test,
    nms=flags.nms,
    batch_size=flags.batch_size,
  )
  folder = pathlib.Path(flags.out).absolute()
  found = shards.find(flags.input, flags.shard_size, out=folder)
  if flags.address:  # its machines work in other folders
    found = list(map(shards.absolute, found))
    settings = settings.absolute()
  _start_ray(ray, flags)  # before JAX's threads: it forks
  signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C
  jax.config.update("jax_platforms", "cpu")  # GPUs are the workers'
  settings.load()  # here too, so that a mistake is one line
  missing = shards.start(folder, settings._asdict(), found)
  _LOG.info("%s: %d of %d parts to do", folder, len(missing), len(found))
  if missing:
    rows = [{"number": n, **found[n]._asdict()} for n in missing]
    _predict(ray, flags, rows, (settings, folder))
  errors = shards.count_errors(folder)
  if errors:
    _LOG.error("%d photographs could not be read: see the column error", errors)
  return 1 if errors else 0


def _predict(
  ray: Any,
  flags: command.Flags,
  rows: list[dict[str, Any]],
  arguments: tuple[Any, pathlib.Path],
) -> None:
  """Predicts shards and logs how many people there are."""
  start = time.monotonic()
  counts: collections.Counter[str] = collections.Counter()
  for done in tqdm(
    _run(ray, flags, rows, arguments), total=len(rows), unit="part"
  ):
    counts.update(done)
  seconds = time.monotonic() - start
  _LOG.info(
    "%s: %d photographs, %d people, %d errors; %.1f s, %.1f photographs/s with "
    "starting and compiling", arguments[1], counts["photographs"],
    counts["people"], counts["errors"], seconds,
    counts["photographs"] / seconds,
  )  # fmt: skip


def _run(
  ray: Any, flags: command.Flags, rows: list[dict[str, Any]], arguments
) -> Iterator[dict[str, int]]:
  """Hands rows to the workers; yields the counts of each as it is done."""
  from darkjax.predict.many import worker

  gpus = int(ray.cluster_resources().get("GPU", 0))
  workers = flags.workers or gpus or 1
  device = {"num_gpus": 1} if gpus else {"num_cpus": 1}
  _LOG.info("%d workers, each with a %s", workers, "GPU" if gpus else "core")
  # A part that was begun by a process that died is given to another one.
  done = ray.data.from_items(rows, override_num_blocks=len(rows)).map(
    worker.Worker,
    fn_constructor_args=arguments,
    compute=ray.data.ActorPoolStrategy(size=min(workers, len(rows))),
    **device,
  )
  try:
    yield from done.iter_rows()
  except ray.exceptions.RayError as error:
    cause = str(error).strip().splitlines()[-1]
    raise RuntimeError(f"a worker failed: {cause}") from error
  finally:
    ray.shutdown()


def _start_ray(ray: Any, flags: command.Flags) -> None:
  options: dict[str, Any] = {}
  if not flags.address:
    cores = max(os.cpu_count() or 1, flags.workers or 1)
    options = {"num_cpus": cores, "include_dashboard": False}
  ray.init(flags.address, log_to_driver=False, logging_level="error", **options)
  context = ray.data.DataContext.get_current()
  context.enable_progress_bars = context.print_on_execution_start = False


def _import_ray() -> Any:
  os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # sent to its makers
  # Else it warns of what is normal here, among the lines of this command.
  os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "error")
  os.environ.setdefault("RAY_DATA_LOG_LEVEL", "ERROR")
  ray, _ = (
    extras.load(name, extra="ray", purpose="predict-many")
    for name in ("ray", "ray.data")
  )
  logging.getLogger("ray").setLevel(logging.WARNING)
  return ray


def define_flags(define: command.Define) -> None:
  """Adds the flags of `main`."""
  define.multi_string(
    "input",
    None,
    "Photographs: a folder with its subfolders, a pattern such as a/**/*.jpg, "
    "or Parquet with the column path, or image (encoded). May be repeated.",
  )
  define.string("out", None, "Folder to write to.")
  define.string(
    "checkpoint",
    None,
    "Folder of a run, or weights; default: those that come with darkjax.",
  )
  load.define_flags(define)
  define.enum("nms", "hard", coco.NMS, "How to remove duplicates, by OKS.")
  define.enum(
    "method", None, METHODS, "Decoder; default: the one for the network's head."
  )
  define.enum("border", "refine", BORDERS, "DARK: how to treat the border.")
  define.bool("flip_test", True, "Average with the mirrored crop.")
  define.integer("batch_size", 32, "People in a batch, a power of two.")
  define.integer("shard_size", 512, "Photographs in a part.", lower_bound=1)
  define.integer(
    "workers", None, "Processes; default: one a GPU, or one.", lower_bound=1
  )
  define.string("address", None, "Of a Ray cluster; default: this machine.")
  define.required(["input", "out"])


if __name__ == "__main__":
  command.run(main, define_flags)
