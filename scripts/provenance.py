"""Where a measurement comes from: machine and commit, for the benchmarks."""

import os
import pathlib
import platform
import shutil
import subprocess

import jax


def machine() -> str:
  """Processor, cores this process may use, and the version of JAX."""
  cores = len(os.sched_getaffinity(0))
  return f"{_processor()}, {cores} cores, jax {jax.__version__}"


def _processor() -> str:
  """Linux keeps the name in a file, other systems tell it."""
  file = pathlib.Path("/proc/cpuinfo")
  lines = file.read_text().splitlines() if file.exists() else []
  names = [line.split(":")[1].strip() for line in lines if "model name" in line]
  return names[0] if names else platform.processor() or platform.machine()


def commit() -> str:
  """Of the repository this lies in; "-dirty" where files differ from it.

  "unknown" where there is no repository or no git.
  """
  if not shutil.which("git"):
    return "unknown"
  described = subprocess.run(
    ["git", "describe", "--always", "--dirty"],
    cwd=pathlib.Path(__file__).parent,
    capture_output=True,
    text=True,
    check=False,
  )
  return described.stdout.strip() or "unknown"
