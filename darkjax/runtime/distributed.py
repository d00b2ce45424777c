"""Several processes that run one training or evaluation together.

Every process runs the same command and holds some of the devices. Three flags,
SLURM or a TPU pod say which others there are. Process 0 alone writes logs,
metrics and pictures; all of them write checkpoints into one shared folder.
"""

import collections
import contextlib
import importlib.util
import io
import json
import logging
import os
import pathlib
import sys
import traceback
from collections.abc import Iterator
from typing import Any, NamedTuple

import jax
import ml_collections
import numpy as np
from jax.experimental import multihost_utils

from darkjax.runtime import errors

_LOG = logging.getLogger(__name__)

# Flags that name the processes.
_WHO = ("coordinator_address", "num_processes", "process_id")
# Seconds that a finished process waits for those that still score or draw; the
# silence of a dead one is noticed long before.
_SHUTDOWN_TIMEOUT = 3600
# In the messages of collectives whose peer is gone.
_PEER_ERRORS = ("Gloo", "NCCL", "closed by peer", "coordination service")


def define_flags(define) -> None:
  """Adds the flags of a run of several processes; `start` reads them."""
  define.string(
    "coordinator_address",
    None,
    "Several processes: host of process 0 and a free port there, as in "
    "10.0.0.1:8476.",
  )
  define.integer("num_processes", None, "Several processes: how many.")
  define.integer(
    "process_id", None, "Several processes: number of this one, from 0."
  )
  define.integer(
    "peer_timeout",
    100,
    "Several processes: seconds without a sign of one after which the others "
    "end.",
  )
  define.integer(
    "start_timeout",
    300,
    "Several processes: seconds to wait for the others to start.",
  )


def start(flags) -> None:
  """Joins the other processes, if flags, SLURM or a TPU pod name any.

  Call it after `startup.start` and before anything that uses devices.

  Raises:
    ValueError: one of the three flags is missing or wrong.
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
    # Process 0 logs for all; warnings and errors are each one's own.
    logging.getLogger().setLevel(logging.WARNING)


def _who(named: dict[str, Any]) -> dict[str, Any] | None:
  """Arguments of `initialize`: {} to let JAX find them, None for no others."""
  if all(value is None for value in named.values()):
    return {} if _on_cluster(os.environ) else None
  given = ", ".join(f"--{n}={v}" for n, v in named.items() if v is not None)
  if None in named.values():
    raise ValueError(
      f"--{', --'.join(_WHO)} go together, got {given}; give all three, or "
      "none on SLURM, a TPU pod or for one process"
    )
  host, _, port = named["coordinator_address"].rpartition(":")
  if not host or not port.isdecimal():
    raise ValueError(
      "--coordinator_address is the host of process 0 and a free port there, "
      f"as in 10.0.0.1:8476, got {named['coordinator_address']!r}"
    )
  if not 0 <= named["process_id"] < named["num_processes"]:
    raise ValueError(
      f"--process_id counts from 0 to num_processes - 1, got {given}"
    )
  # The flags override SLURM, which would hide all but one of the GPUs.
  return named | {"cluster_detection_method": "deactivate"}


def _on_cluster(environ) -> bool:
  """Whether SLURM (not a step of one task) or a TPU pod started several."""
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
  """Ends a process at once when what it runs fails, so that its peers end too.

  They would wait for it in their next collective; with it gone, they end within
  --peer_timeout. A single process, and an exit with status 0, raise as usual.
  """
  try:
    yield
  except BaseException as error:
    done = isinstance(error, SystemExit) and not error.code
    if done or jax.process_count() == 1:
      raise
    here = f"process {jax.process_index()} of {jax.process_count()}"
    status = errors.explain(error, f"error in {here}")
    if status is None:
      traceback.print_exc()
      why = "by the error above, and the others with it."
      if any(word in str(error) for word in _PEER_ERRORS):
        why = (
          "since another process is gone (its own log says why). Start all of "
          "them again, and the run continues from its last checkpoint."
        )
      print(f"{here} ends {why}", file=sys.stderr, flush=True)
      status = 1
    sys.stdout.flush()
    os._exit(status)


def check_same(values: dict[str, Any]) -> None:
  """Refuses a run whose processes were started with different values.

  Args:
    values: json values by name, with the same names on every process.

  Raises:
    ValueError: names what differs, on every process.
  """
  if jax.process_count() == 1:
    return
  texts = _gather_bytes(json.dumps(values).encode())
  everyone = [json.loads(text) for text in texts]
  differ = [n for n in values if any(v[n] != everyone[0][n] for v in everyone)]
  if differ:
    here = {name: values[name] for name in differ}
    raise ValueError(
      f"the processes were not given the same: process {jax.process_index()} "
      f"has {here}; start all of them with the same configuration and data"
    )


def gather_rows(tree: Any) -> Any:
  """Returns the rows of all processes, one process after the other.

  Args:
    tree: NumPy arrays [N, ...]; only N, which may be 0, differs by process.
  """
  if jax.process_count() == 1:
    return tree
  columns, structure = jax.tree.flatten(tree)
  file = io.BytesIO()
  np.savez(file, *columns)
  parts = [np.load(io.BytesIO(part)) for part in _gather_bytes(file.getvalue())]
  gathered = (np.concatenate([p[name] for p in parts]) for name in parts[0])
  return jax.tree.unflatten(structure, gathered)


def _gather_bytes(data: bytes) -> list[bytes]:
  """The bytes of every process, by its number."""
  sizes = multihost_utils.process_allgather(np.int32(len(data)))
  padded = np.zeros(sizes.max(), np.uint8)
  padded[: len(data)] = np.frombuffer(data, np.uint8)
  everyone = multihost_utils.process_allgather(padded)
  return [
    row[:size].tobytes() for row, size in zip(everyone, sizes, strict=True)
  ]


class Split(NamedTuple):
  """Parts of a batch, whose sizes multiply to its number of people.

  Attributes:
    processes: number in the run.
    devices: number in each process.
    micro_batches: number that a device takes one after the other.
    people: number in a micro-batch.
  """

  processes: int
  devices: int
  micro_batches: int
  people: int

  @property
  def of_process(self) -> int:
    """Number of people of the batch that one process reads."""
    return self.devices * self.micro_batches * self.people


def split_training(settings: ml_collections.ConfigDict) -> Split:
  """Splits the batch of the `train` part of a configuration over all devices.

  Raises:
    ValueError: the devices, or their processes, do not have equal parts.
  """
  people = settings.batch_size
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
      f"train.batch_size must be a multiple of the {devices} devices "
      f"({jax.process_count()} processes with {jax.local_device_count()}), got "
      f"{people}; try {' or '.join(map(str, near))}"
    )
  each = people // devices
  at_once = settings.device_batch_size or each
  if not 0 < at_once <= each or each % at_once:
    raise ValueError(
      f"train.batch_size gives each of {devices} devices {each} people, which "
      f"is not a multiple of the {at_once} they take at once "
      "(train.device_batch_size); choose a divisor, or 0 for all"
    )
  return Split(
    jax.process_count(), jax.local_device_count(), each // at_once, at_once
  )
