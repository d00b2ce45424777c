"""Runs of several processes: who joins, what they share, how they end."""

import contextlib
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from unittest import mock

import commands
import jax
import ml_collections
import numpy as np
import ports
import pytest
from paths import ROOT

from darkjax import checkpoint
from darkjax.data.synthetic import dataset
from darkjax.runtime import distributed, xla_options

PEER_TIMEOUT = 10  # seconds
# Messages of a process whose peer is dead: ours, and the JAX service's.
GONE = "process 0 of 2 ends since another process is gone"
SILENT = "stopped sending heartbeats"


def who(address=None, processes=None, process=None):
  return distributed._who(
    {
      "coordinator_address": address,
      "num_processes": processes,
      "process_id": process,
    }
  )


def test_flags_say_who_the_others_are():
  assert who("10.0.0.1:8476", 2, 1) == {
    "coordinator_address": "10.0.0.1:8476",
    "num_processes": 2,
    "process_id": 1,
    "cluster_detection_method": "deactivate",
  }


@pytest.mark.parametrize(
  ("given", "message"),
  [
    (("10.0.0.1:8476", 2, None), "go together, got --coordinator_address="),
    ((None, None, 0), "give all three"),
    (("10.0.0.1", 2, 0), r"as in 10\.0\.0\.1:8476, got '10\.0\.0\.1'"),
    (("10.0.0.1:8476", 2, 2), "from 0 to num_processes - 1"),
    (("10.0.0.1:8476", 0, 0), "from 0 to num_processes - 1"),
  ],
)
def test_wrong_flags_are_refused(given, message):
  with pytest.raises(ValueError, match=message):
    who(*given)


STEP = {"SLURM_STEP_NODELIST": "node[1-2]", "SLURM_PROCID": "1"}


@pytest.mark.parametrize(
  ("environment", "expected"),
  [
    ({}, False),
    (STEP | {"SLURM_NTASKS": "2"}, True),
    (STEP | {"SLURM_NTASKS": "1"}, False),
    # The batch script itself: srun has not started the tasks.
    ({"SLURM_JOB_ID": "7", "SLURM_NTASKS": "2"}, False),
    ({"TPU_WORKER_HOSTNAMES": "a,b"}, True),
    ({"TPU_WORKER_HOSTNAMES": "localhost"}, False),
  ],
)
def test_clusters_are_recognised(environment, expected):
  assert distributed._on_cluster(environment) is expected


def test_on_a_cluster_jax_finds_the_others(monkeypatch):
  assert who() is None
  monkeypatch.setattr(os, "environ", STEP | {"SLURM_NTASKS": "2"})
  assert who() == {}


def split(people: int, at_once: int = 0) -> distributed.Split:
  fields = {"batch_size": people, "device_batch_size": at_once}
  return distributed.split_training(ml_collections.ConfigDict(fields))


def test_a_batch_is_split_over_the_two_devices():
  assert split(8) == (1, 2, 1, 4)
  assert split(24, at_once=3) == (1, 2, 4, 3)
  assert split(24, at_once=3).of_process == 24


@pytest.mark.parametrize(
  ("people", "at_once", "message"),
  [
    (7, 0, "train.batch_size must be a multiple of the 2 .*7; try 6 or 8"),
    (1, 0, "got 1; try 2"),
    (0, 0, "got 0; try 2"),
    (12, 4, "each of 2 devices 6 people, which is not a multiple of the 4"),
    (12, 7, "not a multiple of the 7"),
    (12, -2, "not a multiple of the -2"),
  ],
)
def test_a_batch_that_does_not_divide_is_refused(people, at_once, message):
  with pytest.raises(ValueError, match=message):
    split(people, at_once)


def test_one_process_keeps_its_rows():
  tree = {"ids": np.arange(3)}
  assert distributed.gather_rows(tree) is tree


def test_one_process_raises_as_usual():
  with (
    pytest.raises(KeyError, match="mine"),
    distributed.failing_together(),
  ):
    raise KeyError("mine")


Commands = dict[str, tuple[str, ...]]


class Job:
  """Two processes with one CPU device each, that run the same commands.

  Each has a folder, with a log for every command.

  Attributes:
    folders: of process 0 and process 1.
    running: the processes.
  """

  def __init__(self, folder: pathlib.Path, first: Commands, second: Commands):
    self.folders = [folder / "process0", folder / "process1"]
    port = ports.free_port()
    self.running = [
      self._start(number, commands, port)
      for number, commands in enumerate((first, second))
    ]

  def _start(self, number: int, commands: Commands, port: int):
    names = (
      f"--coordinator-address=127.0.0.1:{port}",
      "--num-processes=2",
      f"--process-id={number}",
      f"--peer-timeout={PEER_TIMEOUT}",
    )
    folder = self.folders[number]
    folder.mkdir(parents=True)
    path = folder / "commands.json"
    path.write_text(json.dumps([(n, *a, *names) for n, a in commands.items()]))
    environment = os.environ | {
      "JAX_NUM_CPU_DEVICES": "1",
      "JAX_COMPILATION_CACHE_DIR": str(ROOT / ".cache" / "jax"),
      "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
      "DARKJAX_CACHE": str(folder.parent / "cache"),
      "PYTHONPATH": str(ROOT),
    }
    environment.pop("TF_USE_LEGACY_KERAS", None)  # which commands set
    with (folder / "start.log").open("w") as log:
      return subprocess.Popen(
        [sys.executable, str(ROOT / "tests" / "several_commands.py"), path],
        cwd=ROOT,
        env=environment,
        stdout=log,
        stderr=log,
      )

  def said(self, name: str, number: int = 0) -> str:
    """What a process has written so far in the command of that name."""
    log = self.folders[number] / f"{name}.log"
    return log.read_text() if log.exists() else ""

  def wait_for(self, name: str, text: str, seconds: float = 600) -> None:
    """Waits until process 0 writes a text."""
    limit = time.monotonic() + seconds
    while text not in self.said(name):
      assert time.monotonic() < limit, self.everything()
      assert self.running[0].poll() is None, self.everything()
      time.sleep(0.2)

  def everything(self) -> str:
    logs = (path for folder in self.folders for path in folder.glob("*.log"))
    return "\n".join(f"{path}:\n{path.read_text()}" for path in sorted(logs))

  def end(self) -> None:
    for process in self.running:
      with contextlib.suppress(ProcessLookupError):
        process.kill()
      process.wait()


def training(root, workdir, *changes: str) -> tuple[str, ...]:
  return (
    "train",
    "--config=tests/tiny_config.py",
    f"--config.data.root={root}",
    f"--workdir={workdir}",
    *changes,
  )


def endless(root, workdir) -> tuple[str, ...]:
  """Training that neither ends nor saves by itself."""
  flags = ("epochs", "checkpoint_every_epochs", "evaluate_every_epochs")
  changes = (f"--config.train.{flag}=100000" for flag in flags)
  return training(root, workdir, *changes)


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> pathlib.Path:
  """People to train on, and five to evaluate: three batches of 2 x 1."""
  folder = tmp_path_factory.mktemp("people")
  for split, people in (("train", 12), ("val", 5)):
    dataset.write_dataset(folder, num_people=people, seed=3, split=split)
  return folder


@pytest.fixture(scope="module")
def alone(root, tmp_path_factory) -> pathlib.Path:
  """The run of one process with two devices, which is this one."""
  folder = tmp_path_factory.mktemp("alone")
  with (
    # Several processes get no options: what is compiled is the same.
    mock.patch.object(xla_options, "options", return_value={}),
    mock.patch.dict(os.environ, DARKJAX_CACHE=str(folder.parent / "cache")),
    jax.numpy_dtype_promotion("standard"),
  ):
    done = commands.run(*training(root, folder))
  assert done.returncode == 0, done.stderr
  return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> pathlib.Path:
  return tmp_path_factory.mktemp("together")


@pytest.fixture(scope="module")
def job(root, folder) -> Iterator[Job]:
  """Two processes through commands of every kind, and a SIGTERM at last."""
  other = folder / "other_people"
  dataset.write_dataset(other, num_people=8, seed=3, split="train")
  shutil.copytree(root, other, dirs_exist_ok=True, ignore=is_training)
  both = {
    "pmap": training(root, folder / "pmap"),
    "shard_map": training(
      root, folder / "shard_map", "--config.train.mapping=shard_map"
    ),
    # Sixteen people a batch, eight a process: the second gets padding only.
    "evaluate": (
      "evaluate",
      f"--checkpoint={folder / 'pmap'}",
      f"--root={root}",
      f"--results={folder / 'results.json'}",
      "--batch_size=16",
    ),
    "data": training(root, folder / "data"),
    "settings": training(root, folder / "settings"),
    "stop": endless(root, folder / "stop"),
  }
  own = {
    "data": (*both["data"], f"--config.data.root={other}"),
    "settings": (*both["settings"], "--config.seed=7"),
  }
  job = Job(folder, both, both | own)
  try:
    job.wait_for("stop", "step 4/")
    job.running[1].send_signal(signal.SIGTERM)
    codes = [process.wait(timeout=300) for process in job.running]
    assert codes == [0, 0], job.everything()
    yield job
  finally:
    job.end()


def is_training(folder: str, names: list[str]) -> list[str]:
  """For `copytree`: the labels of the training set, to be left out."""
  return [name for name in names if name.endswith("_train.json")]


def lines(folder: pathlib.Path) -> list[dict]:
  """metrics.jsonl without the speed."""
  text = (folder / "metrics.jsonl").read_text()
  return [
    {k: v for k, v in json.loads(line).items() if "per_second" not in k}
    for line in text.splitlines()
  ]


@pytest.mark.parametrize("mapping", ["pmap", "shard_map"])
def test_two_processes_equal_one_bit_for_bit(alone, job, folder, mapping):
  """Six steps, two evaluations, two checkpoints.

  The same devices compute the same halves of each batch, and the sum of two
  numbers does not depend on their order: nothing is left to differ.
  """
  one, two = (checkpoint.load(run)[0] for run in (alone, folder / mapping))
  assert lines(alone)[-1]["step"] == 6
  for name in ("params", "batch_stats"):
    jax.tree.map(np.testing.assert_array_equal, one[name], two[name])
  assert lines(folder / mapping) == lines(alone)


def test_process_0_alone_writes(job, folder):
  assert len(list((folder / "pmap").glob("events.out.tfevents.*"))) == 1
  first, second = (job.said("pmap", number) for number in (0, 1))
  assert (
    "batch: 4 people a step = 2 processes x 1 devices (cpu) x 1 micro-batches "
    "x 2 people; batch norm over 2"
  ) in first
  assert "step 6" in first
  assert "step" not in second
  assert "AP" not in second


def test_a_process_without_people_evaluates_with_the_others(job, root, folder):
  first, second = (job.said("evaluate", number) for number in (0, 1))
  last = lines(folder / "pmap")[-1]
  row = re.search(r"^ *dark +(.*)$", first, re.MULTILINE)[1].split()
  names = re.search(r"^ +(AP .*)$", first, re.MULTILINE)[1].split()
  assert names == [name.split("/")[1] for name in last if "dark/" in name]
  expected = [f"{last[f'dark/{name}/gt_boxes']:.2f}" for name in names]
  assert row == expected
  assert "dark" not in second
  found = json.loads((folder / "results.json").read_text())
  labels = root / "annotations" / "person_keypoints_val.json"
  people = json.loads(labels.read_text())["annotations"]
  expected = sorted(person["image_id"] for person in people)
  assert sorted(person["image_id"] for person in found) == expected


@pytest.mark.parametrize("name", ["pmap", "evaluate"])
def test_tensorflow_brings_no_keras(job, name):
  assert "needlessly imported: None" in job.said(name)


@pytest.mark.parametrize(
  ("name", "field"), [("data", "'label files'"), ("settings", "'seed'")]
)
def test_processes_started_differently_end_at_once(job, name, field):
  for number in (0, 1):
    said = job.said(name, number)
    assert f"not given the same: process {number} has" in said, said
    assert field in said
    assert said.endswith("exit status 2\n")


def test_one_process_asked_to_stop_stops_all_after_one_step(job, folder):
  assert all("stopped on request" in job.said("stop", i) for i in (0, 1))
  last = lines(folder / "stop")[-1]["step"]
  assert checkpoint.load(folder / "stop", step=last)


@pytest.mark.parametrize(
  ("kind", "messages"),
  [
    # Its connections are cut, and the next sum over processes fails; on a busy
    # machine the silence may be noticed before that.
    (signal.SIGKILL, (GONE, SILENT)),
    # It only stops to answer.
    (signal.SIGSTOP, (SILENT,)),
  ],
)
def test_a_dead_peer_ends_the_run_with_a_message(
  root, tmp_path, kind, messages
):
  run = {"train": endless(root, tmp_path / "run")}
  job = Job(tmp_path, run, run)
  try:
    job.wait_for("train", "step 9/")
    job.running[1].send_signal(kind)
    # Twice would do, on a machine without other work: the silence is counted
    # from the last sign of life, and asked for at intervals.
    code = job.running[0].wait(timeout=6 * PEER_TIMEOUT)
  finally:
    job.end()
  assert code != 0
  assert any(message in job.said("train") for message in messages)
