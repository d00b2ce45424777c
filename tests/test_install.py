"""What a plain installation can do, and what it says where it needs more."""

import json
import os
import subprocess
import sys

from paths import ROOT

# Calls commands where the extra `train` is not installed.
CODE = """
import importlib, json, sys

import hide_tensorflow as hiding

hiding.HIDDEN |= {"pycocotools", "tensorboard"}
sys.meta_path[:] = [hiding._Hiding(finder) for finder in sys.meta_path]

import commands
import darkjax
from darkjax.__main__ import COMMANDS

for module in COMMANDS.values():
  importlib.import_module(module)
for name in darkjax.__all__:
  getattr(darkjax, name)
needing = [
  ("train", "--config=quickstart", "--workdir=run"),
  ("browse", "--config=quickstart"),
  ("evaluate", "--checkpoint=run"),
  ("calibrate", "--checkpoint=run", "--out=a.safetensors"),
  ("data.pack", "--config=quickstart", "--config.data.pack=packs"),
]
print(json.dumps({line[0]: commands.run(*line) for line in needing}))
"""


def test_without_the_extra_train(tmp_path):
  done = subprocess.run(
    [sys.executable, "-W", "ignore", "-c", CODE],
    cwd=tmp_path,
    env=os.environ | {"PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests'}"},
    capture_output=True,
    text=True,
  )
  assert done.returncode == 0, done.stderr
  for name, finished in json.loads(done.stdout.splitlines()[-1]).items():
    status, _, message = finished
    assert status == 2, name
    assert message.startswith("error: this needs "), (name, message)
    assert message.endswith(": pip install 'darkjax[train]'\n"), message
    assert message.count("\n") == 1
