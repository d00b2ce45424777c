"""Runs of several processes: who joins, what they share, how they end."""

import contextlib
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence

import ml_collections
import numpy as np
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


class Job:
  """Processes of one run on this machine, each with one CPU device.

  They take the flags of `command` and each one's `own`.
  """

  def __init__(
    self,
    folder: pathlib.Path,
    *command: str,
    own: Sequence[Sequence[str]] = ((), ()),
  ):
    self.folder, self.command = folder, command
    self.logs = [folder / f"process{i}.log" for i in range(len(own))]
    with socket.create_server(("127.0.0.1", 0)) as free:
      port = free.getsockname()[1]
    self.running = [
      self._start(
        log,
        f"--coordinator-address=127.0.0.1:{port}",
        f"--num-processes={len(own)}",
        f"--process-id={i}",
        f"--peer-timeout={PEER_TIMEOUT}",
        *flags,
      )
      for i, (log, flags) in enumerate(zip(self.logs, own, strict=True))
    ]

  def _start(self, log: pathlib.Path, *flags: str) -> subprocess.Popen:
    with log.open("w") as file:
      return start((*self.command, *flags), self.folder, 1, file)

  def wait(self) -> list[str]:
    """What each process wrote, after all ended well."""
    codes = [process.wait(timeout=300) for process in self.running]
    texts = [log.read_text() for log in self.logs]
    assert codes == [0] * len(codes), texts
    return texts

  def end(self) -> None:
    for process in self.running:
      with contextlib.suppress(ProcessLookupError):
        process.kill()
      process.wait()


def start(command, folder, devices: int, output) -> subprocess.Popen:
  environment = {
    # By XLA_FLAGS, since several processes get no options (xla_options.py).
    "XLA_FLAGS": " ".join(
      f"--{name}={value}"
      for name, value in xla_options.PURPOSES["inference"].items()
    ),
    "JAX_NUM_CPU_DEVICES": str(devices),
    "JAX_COMPILATION_CACHE_DIR": str(ROOT / ".cache" / "jax"),
    "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    "DARKJAX_CACHE": str(folder.parent / "cache"),
  }
  return subprocess.Popen(
    [sys.executable, "-m", *command],
    cwd=ROOT,
    env=os.environ | environment,
    stdout=output,
    stderr=subprocess.STDOUT,
    text=True,
  )


def training(root, workdir, *changes: str) -> tuple[str, ...]:
  return (
    "darkjax.train",
    "--config=tests/tiny_config.py",
    f"--config.data.root={root}",
    f"--workdir={workdir}",
    *changes,
  )


def endless(root, folder) -> Job:
  """Training that neither ends nor saves by itself."""
  flags = ("epochs", "checkpoint_every_epochs", "evaluate_every_epochs")
  return Job(
    folder,
    *training(root, folder / "run"),
    *(f"--config.train.{flag}=100000" for flag in flags),
  )


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> pathlib.Path:
  """People to train on, and five to evaluate: three batches of 2 x 1."""
  folder = tmp_path_factory.mktemp("people")
  for split, people in (("train", 12), ("val", 5)):
    dataset.write_dataset(folder, num_people=people, seed=3, split=split)
  return folder


@pytest.fixture(scope="module")
def alone(root, tmp_path_factory) -> pathlib.Path:
  """The run of one process with two devices."""
  folder = tmp_path_factory.mktemp("alone")
  process = start(training(root, folder), folder, 2, subprocess.PIPE)
  output, _ = process.communicate(timeout=300)
  assert process.returncode == 0, output
  return folder


def run_two(root: pathlib.Path, folder: pathlib.Path, *changes: str) -> None:
  """A run of two processes with a device each, to its end."""
  job = Job(folder, *training(root, folder, *changes))
  try:
    job.wait()
  finally:
    job.end()


@pytest.fixture(scope="module")
def together(alone, root, tmp_path_factory) -> pathlib.Path:
  """The run of two processes."""
  folder = tmp_path_factory.mktemp("together")
  run_two(root, folder)
  return folder


def lines(folder: pathlib.Path) -> list[dict]:
  """metrics.jsonl without the speed."""
  text = (folder / "metrics.jsonl").read_text()
  return [
    {k: v for k, v in json.loads(line).items() if "per_second" not in k}
    for line in text.splitlines()
  ]


def test_two_processes_equal_one_bit_for_bit(alone, together, root, tmp_path):
  """Six steps, two evaluations, two checkpoints, by both mappings.

  The same devices compute the same halves of each batch, and the sum of two
  numbers does not depend on their order: nothing is left to differ.
  """
  run_two(root, tmp_path, "--config.train.mapping=shard_map")
  one = checkpoint.load(alone)[0]
  assert lines(alone)[-1]["step"] == 6
  for folder in (together, tmp_path):
    two = checkpoint.load(folder)[0]
    for name in ("params", "batch_stats"):
      assert_same_bits(one[name], two[name])
    assert lines(folder) == lines(alone)


def assert_same_bits(one, other) -> None:
  if not isinstance(one, dict):
    np.testing.assert_array_equal(one, other)
    return
  assert one.keys() == other.keys()
  for name in one:
    assert_same_bits(one[name], other[name])


def test_process_0_alone_writes(together):
  assert len(list(together.glob("events.out.tfevents.*"))) == 1
  first, second = ((together / f"process{i}.log").read_text() for i in (0, 1))
  assert (
    "batch: 4 people a step = 2 processes x 1 devices (cpu) x 1 micro-batches "
    "x 2 people; batch norm over 2"
  ) in first
  assert "step 6" in first
  assert "step" not in second
  assert "AP" not in second


def test_a_process_without_people_evaluates_with_the_others(
  together, root, tmp_path
):
  """Sixteen people a batch, eight a process: the second gets padding only."""
  job = Job(
    tmp_path,
    "darkjax.evaluate",
    f"--checkpoint={together}",
    f"--root={root}",
    f"--results={tmp_path / 'results.json'}",
    "--batch_size=16",
  )
  try:
    first, second = job.wait()
  finally:
    job.end()
  last = lines(together)[-1]
  row = re.search(r"^ *dark +(.*)$", first, re.MULTILINE)[1].split()
  names = re.search(r"^ +(AP .*)$", first, re.MULTILINE)[1].split()
  assert names == [name.split("/")[1] for name in last if "dark/" in name]
  expected = [f"{last[f'dark/{name}/gt_boxes']:.2f}" for name in names]
  assert row == expected
  assert "dark" not in second
  found = json.loads((tmp_path / "results.json").read_text())
  labels = root / "annotations" / "person_keypoints_val.json"
  people = json.loads(labels.read_text())["annotations"]
  expected = sorted(person["image_id"] for person in people)
  assert sorted(person["image_id"] for person in found) == expected


@pytest.mark.parametrize("other", ["data", "settings"])
def test_processes_started_differently_end_at_once(root, tmp_path, other):
  flags = "--config.seed=7"
  if other == "data":
    dataset.write_dataset(tmp_path, num_people=8, seed=3, split="train")
    shutil.copytree(root, tmp_path, dirs_exist_ok=True, ignore=is_training)
    flags = f"--config.data.root={tmp_path}"
  job = Job(tmp_path, *training(root, tmp_path / "run"), own=((), (flags,)))
  try:
    codes = [process.wait(timeout=200) for process in job.running]
  finally:
    job.end()
  assert all(codes)
  for i, log in enumerate(job.logs):
    said = log.read_text()
    assert f"not given the same: process {i} has" in said, said
    assert ("'label files'" if other == "data" else "'seed'") in said


def is_training(folder: str, names: list[str]) -> list[str]:
  """For `copytree`: the labels of the training set, to be left out."""
  return [name for name in names if name.endswith("_train.json")]


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
  together, root, tmp_path, kind, messages
):
  job = endless(root, tmp_path)
  try:
    wait_for(job.logs[0], "step 9/")
    job.running[1].send_signal(kind)
    then = time.monotonic()
    code = job.running[0].wait(timeout=60)
    # Twice: the silence is counted from the last sign of life, and asked for
    # at intervals.
    assert time.monotonic() - then < 2 * PEER_TIMEOUT
  finally:
    job.end()
  assert code != 0
  said = job.logs[0].read_text()
  assert any(message in said for message in messages)


def test_one_process_asked_to_stop_stops_all_after_one_step(
  together, root, tmp_path
):
  job = endless(root, tmp_path)
  try:
    wait_for(job.logs[0], "step 4/")
    job.running[1].send_signal(signal.SIGTERM)
    texts = job.wait()
  finally:
    job.end()
  assert all("stopped on request" in text for text in texts)
  last = lines(tmp_path / "run")[-1]["step"]
  assert checkpoint.load(tmp_path / "run", step=last)


def wait_for(log: pathlib.Path, text: str, seconds: float = 200) -> None:
  limit = time.monotonic() + seconds
  while text not in log.read_text():
    assert time.monotonic() < limit, log.read_text()
    time.sleep(0.2)
