"""Several processes that run one training or evaluation together.

Every process runs the same command and holds some of the devices. Which others
there are comes from three flags, from SLURM, or from the TPU pod the process
runs on; a plain machine is asked nothing. Process 0 alone writes logs, metrics
and pictures; checkpoints are written by all of them into one shared folder.
"""

import collections
import contextlib
import importlib.util
import json
import logging
import os
import pathlib
import sys
import traceback
import zlib
from collections.abc import Iterator
from typing import Any, NamedTuple

import jax
import ml_collections
import numpy as np
from jax.experimental import multihost_utils

_LOG = logging.getLogger(__name__)

# What the flags of `define_flags` say: who the others are.
_WHO = ("coordinator_address", "num_processes", "process_id")
# Seconds that a finished process waits for those that still score or draw. A
# dead one is noticed by its silence long before.
_SHUTDOWN_TIMEOUT = 3600
# Words of the errors that collectives raise when a peer's connection is cut.
_PEER_ERRORS = ("Gloo", "NCCL", "closed by peer", "coordination service")


def define_flags(define) -> None:
  """Adds the flags of a run of several processes; `start` reads them."""
  define.string(
    "coordinator_address", None, "host:port of process 0, a free port there."
  )
  define.integer("num_processes", None, "Number of processes of the run.")
  define.integer("process_id", None, "Number of this process, from 0.")
  define.integer(
    "peer_timeout", 100, "Seconds of silence of a process that end the run."
  )
  define.integer(
    "start_timeout", 300, "Seconds to wait for the other processes to start."
  )
  for name in (*_WHO, "peer_timeout", "start_timeout"):
    define.alias(name.replace("_", "-"), name)


def start(flags) -> None:
  """Joins the other processes, if the flags or the machine name any.

  Call it after `startup.start` and before anything that asks for devices.

  Args:
    flags: a command's, with those of `define_flags`.

  Raises:
    ValueError: some of the three flags are missing or make no sense.
  """
  who = _who({name: getattr(flags, name) for name in _WHO})
  if who is None:
    return
  _LOG.info(
    "waiting up to %d s for the other processes%s",
    flags.start_timeout,
    " ({process_id} of {num_processes} at {coordinator_address})".format(**who)
    if who
    else "",
  )
  jax.distributed.initialize(
    **who,
    heartbeat_timeout_seconds=flags.peer_timeout,
    initialization_timeout=flags.start_timeout,
    shutdown_timeout_seconds=_SHUTDOWN_TIMEOUT,
  )
  if jax.process_index() > 0:
    # Process 0 says it for all; warnings and errors are each one's own.
    logging.getLogger().setLevel(logging.WARNING)


def _who(named: dict[str, Any]) -> dict[str, Any] | None:
  """Arguments of `initialize`, {} to let JAX find them, None for one process.

  Raises:
    ValueError: some of the three flags are missing or make no sense.
  """
  if all(value is None for value in named.values()):
    return {} if _on_cluster(os.environ) else None
  given = ", ".join(f"--{n}={v}" for n, v in named.items() if v is not None)
  if None in named.values():
    raise ValueError(
      f"--{', --'.join(_WHO)} go together, got {given}; give all three, or "
      "none on SLURM, a TPU pod or for one process"
    )
  host, _, port = named["coordinator_address"].rpartition(":")
  if not host or not port.isdigit():
    raise ValueError(
      "--coordinator_address is the host of process 0 and a free port there, "
      f"as in 10.0.0.1:8476, got {named['coordinator_address']!r}"
    )
  if not 0 <= named["process_id"] < named["num_processes"]:
    raise ValueError(
      f"--process_id counts from 0 to num_processes - 1, got {given}"
    )
  # What the flags say is all: SLURM would hide all but one of the GPUs.
  return named | {"cluster_detection_method": "deactivate"}


def _on_cluster(environ) -> bool:
  """Whether SLURM or a TPU pod started this process beside others.

  A step of SLURM with one task, or a shell in an allocation, is a plain
  machine.
  """
  if "SLURM_STEP_NODELIST" in environ:
    return int(environ.get("SLURM_NTASKS", 1)) > 1
  if any(
    "," in environ.get(name, "")
    for name in ("TPU_PROCESS_ADDRESSES", "TPU_WORKER_HOSTNAMES")
  ):
    return True
  # A TPU VM, whose metadata server JAX then asks for the other hosts.
  chips = (pathlib.Path(path) for path in ("/dev/accel0", "/dev/vfio/0"))
  return (
    "TPU_SKIP_MDS_QUERY" not in environ
    and importlib.util.find_spec("libtpu") is not None
    and any(chip.exists() for chip in chips)
  )


@contextlib.contextmanager
def failing_together() -> Iterator[None]:
  """Ends a process at once when what it runs fails, so that its peers do too.

  They would wait for it in their next collective, and it for them while it
  closes its checkpoints; with it gone, they end within --peer_timeout. A run of
  one process raises as usual, and one that exits with 0 does so.
  """
  try:
    yield
  except BaseException as error:
    done = isinstance(error, SystemExit) and not error.code
    if done or jax.process_count() == 1:
      raise
    traceback.print_exc()
    print(_last_words(error), file=sys.stderr, flush=True)
    os._exit(1)


def _last_words(error: BaseException) -> str:
  here = f"process {jax.process_index()} of {jax.process_count()}"
  if any(word in str(error) for word in _PEER_ERRORS):
    return (
      f"{here} ends: another process is gone (its own log says why). Start all "
      "of them again, and the run continues from its last checkpoint."
    )
  return f"{here} ends by the error above, and the others with it."


def check_same(facts: dict[str, Any]) -> None:
  """Ends a run whose processes were not told the same, before they wait.

  Args:
    facts: what must be equal, by name, as json can hold it; the same names on
      every process.

  Raises:
    ValueError: names what differs, on every process.
  """
  if jax.process_count() == 1:
    return
  mine = [_crc(facts[name]) for name in sorted(facts)]
  everyone = multihost_utils.process_allgather(np.array(mine, np.uint32))
  differs = (everyone != everyone[0]).any(0)
  if differs.any():
    names = [
      n for n, other in zip(sorted(facts), differs, strict=True) if other
    ]
    here = {name: facts[name] for name in names}
    raise ValueError(
      f"the processes were not given the same: process {jax.process_index()} "
      f"has {here}; start all of them with the same configuration and data"
    )


def _crc(value: Any) -> int:
  return zlib.crc32(json.dumps(value, sort_keys=True).encode())


def gather_rows(tree: Any) -> Any:
  """The rows of all processes, one process after the other, bit for bit.

  Args:
    tree: NumPy arrays [N, ...] with the same N, which may differ between the
      processes and be 0; the rest of the shapes and the dtypes may not.

  Returns:
    A tree like it, with all rows, on every process.
  """
  if jax.process_count() == 1:
    return tree
  columns, structure = jax.tree.flatten(tree)
  rows = len(columns[0])
  counts = multihost_utils.process_allgather(np.int32(rows))
  if not counts.any():
    return tree
  # As bytes: collectives would make 32 bits of 64.
  mine = [
    np.ascontiguousarray(x).view(np.uint8).reshape(rows, _row_bytes(x))
    for x in columns
  ]
  padded = np.zeros((counts.max(), sum(map(_row_bytes, columns))), np.uint8)
  padded[:rows] = np.concatenate(mine, 1)
  everyone = multihost_utils.process_allgather(padded)
  table = np.concatenate(
    [part[:count] for part, count in zip(everyone, counts, strict=True)]
  )
  ends = np.cumsum([_row_bytes(x) for x in columns])
  gathered = [
    np.ascontiguousarray(part).view(x.dtype).reshape(-1, *x.shape[1:])
    for x, part in zip(columns, np.split(table, ends[:-1], 1), strict=True)
  ]
  return jax.tree.unflatten(structure, gathered)


def _row_bytes(x: np.ndarray) -> int:
  return x.dtype.itemsize * int(np.prod(x.shape[1:]))


class Split(NamedTuple):
  """How the people of a batch are shared out: their number is the product.

  Attributes:
    processes: of the run.
    devices: of each process.
    micro_batches: that a device takes one after the other.
    people: in each of these.
  """

  processes: int
  devices: int
  micro_batches: int
  people: int

  @property
  def of_process(self) -> int:
    """People of the batch that one process reads."""
    return self.devices * self.micro_batches * self.people


def split(people: int, field: str, *, at_once: int = 0) -> Split:
  """Shares a batch out over all devices.

  Args:
    people: of the batch, in all devices together.
    field: of the configuration, or flag, that says so; for the error.
    at_once: people that a device takes at once; 0 for all of its share.

  Raises:
    ValueError: they cannot be shared out equally, or the devices are not.
  """
  devices = jax.device_count()
  counts = collections.Counter(d.process_index for d in jax.devices())
  if len({*counts.values()}) > 1:
    raise ValueError(
      f"every process needs the same number of devices, got {dict(counts)} by "
      "process"
    )
  if people < 1 or people % devices:
    below = people // devices * devices
    near = [n for n in (below, below + devices) if n > 0]
    raise ValueError(
      f"{field} must be a multiple of the {devices} devices "
      f"({jax.process_count()} processes with {jax.local_device_count()}), got "
      f"{people}; try {' or '.join(map(str, near))}"
    )
  each = people // devices
  at_once = at_once or each
  if not 0 < at_once <= each or each % at_once:
    raise ValueError(
      f"{field} gives each of {devices} devices {each} people, which is no "
      f"multiple of the {at_once} they are to take at once "
      "(train.device_batch_size); choose a divisor, or 0 for all"
    )
  return Split(
    jax.process_count(), jax.local_device_count(), each // at_once, at_once
  )


def split_training(settings: ml_collections.ConfigDict) -> Split:
  """`split` of the steps that the `train` part of a configuration asks for."""
  return split(
    settings.batch_size, "train.batch_size", at_once=settings.device_batch_size
  )
