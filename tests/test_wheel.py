"""The wheel: the package, its weights and configurations, nothing compiled."""

import os
import shutil
import subprocess
import sys
import zipfile

import pytest
from paths import ROOT

SOURCE = (
  "pyproject.toml",
  "setup.py",
  "README.md",
  "LICENSE",
  "configs",
  "darkjax",
)
NO_BYTE_CODE = shutil.ignore_patterns("__pycache__")  # others write it now
# What a command reads from the packaged configurations.
READ = """
from darkjax.runtime import command
from darkjax.train import __main__ as train

for name in ("coco_hrnet_w32_256x192", "quickstart:biased"):
  argv = ["train", f"--config={name}", "--workdir=runs", "--config.seed=3"]
  config = command.parse(train.define_flags, argv)[0].config
  convention = config.convention
  print(convention.crop_size, convention.quantize, config.seed)

from darkjax.configs import quickstart
print(quickstart.get_config().model.name)
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
  folder = tmp_path_factory.mktemp("wheel")
  for name in SOURCE:  # a copy, since building writes beside the source
    if (ROOT / name).is_dir():
      shutil.copytree(ROOT / name, folder / name, ignore=NO_BYTE_CODE)
    else:
      shutil.copy(ROOT / name, folder / name)
  command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps"]
  command += ["--no-build-isolation", "--wheel-dir=dist", "."]
  subprocess.run(command, cwd=folder, check=True)
  (path,) = (folder / "dist").iterdir()
  return path


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
  """A folder with the content of the wheel, as pip would unpack it."""
  folder = tmp_path_factory.mktemp("installed")
  with zipfile.ZipFile(wheel) as archive:
    archive.extractall(folder)
  return folder


def test_is_for_every_platform(wheel):
  assert wheel.name.endswith("-py3-none-any.whl")


def test_holds_every_module_asset_and_configuration(wheel):
  files = {
    path.relative_to(ROOT).as_posix()
    for folder in ("darkjax", "configs")
    for path in (ROOT / folder).rglob("*")
    if path.is_file() and "__pycache__" not in path.parts
  }
  files = {
    f"darkjax/{name}" if name.startswith("configs/") else name for name in files
  }
  weights = "darkjax/assets/people_hrnet_small.safetensors"
  assert {weights, "darkjax/py.typed"} <= files
  packed = set(zipfile.ZipFile(wheel).namelist())
  others = {name for name in packed if ".dist-info/" not in name}
  assert others == files


def test_has_the_command(installed):
  (scripts,) = installed.glob("*.dist-info/entry_points.txt")
  assert "darkjax = darkjax.__main__:main" in scripts.read_text()


def test_configurations_are_found_by_name(installed, tmp_path):
  done = subprocess.run(
    [sys.executable, "-c", READ],
    cwd=tmp_path,
    env=os.environ | {"PYTHONPATH": str(installed)},
    capture_output=True,
    text=True,
  )
  assert done.returncode == 0, done.stderr
  assert done.stdout.splitlines() == [
    "(256, 192) none 3",
    "(128, 96) round 3",
    "hrnet_small",
  ]
