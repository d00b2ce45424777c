"""The wheel: the whole package, its weights, and nothing compiled."""

import shutil
import subprocess
import sys
import zipfile

import pytest
from paths import ROOT

SOURCE = ("pyproject.toml", "README.md", "LICENSE", "darkjax")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
  folder = tmp_path_factory.mktemp("wheel")
  for name in SOURCE:  # a copy, since building writes beside the source
    copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
    copy(ROOT / name, folder / name)
  command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps"]
  command += ["--no-build-isolation", "--wheel-dir=dist", "."]
  subprocess.run(command, cwd=folder, check=True)
  (path,) = (folder / "dist").iterdir()
  return path


def test_is_for_every_platform(wheel):
  assert wheel.name.endswith("-py3-none-any.whl")


def test_holds_every_module_and_asset(wheel):
  files = {
    path.relative_to(ROOT).as_posix()
    for path in (ROOT / "darkjax").rglob("*")
    if path.is_file() and "__pycache__" not in path.parts
  }
  assert "darkjax/assets/lsp_hrnet_small.npz" in files
  packed = set(zipfile.ZipFile(wheel).namelist())
  others = {name for name in packed if ".dist-info/" not in name}
  assert others == files
