"""Runs `python -m darkjax.data.check` as a process of its own."""

import subprocess
import sys

from paths import ROOT

# Tells at its end which of the packages that it does without were imported.
_CODE = """
import runpy, sys, atexit
atexit.register(
  lambda: print({'jax', 'tensorflow'} & set(sys.modules), file=sys.stderr)
)
sys.argv[0] = 'check'
runpy.run_module('darkjax.data.check', run_name='__main__')
"""


def run(*arguments) -> subprocess.CompletedProcess:
  """The finished process, with its output as text."""
  return subprocess.run(
    [sys.executable, "-c", _CODE, *map(str, arguments)],
    cwd=ROOT,
    capture_output=True,
    text=True,
    check=False,
  )
