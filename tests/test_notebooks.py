"""The notebooks of colab/: what they look like, and that they run."""

import importlib.util
import json
import os
import pathlib
import re
import subprocess
import sys

import pytest
import tiny_config
from paths import ROOT

NOTEBOOKS = sorted((ROOT / "colab").glob("*.ipynb"))
# Seconds to compile, and as wrong as it looks.
TINY = {"name": "hrnet_small", "overrides": tiny_config.OVERRIDES}
SETTINGS = {
  "quickstart": {"people": 8, "epochs": 1, "batch": 4, "model": TINY},
  "custom_dataset": {"people": 8, "epochs": 1, "batch": 4, "model": TINY},
  "decode_any_model": {"people": 64, "epochs": 2, "width": 8},
}
# The last line that each must have printed.
PRINTED = {
  "quickstart": r" dark +[-\d.]+",
  "custom_dataset": r" dark +[-\d.]+.*",
  "decode_any_model": r"(?s)\(64, 128, 96, 3\).*, True\).*dark: mean error",
}


def cells(path: pathlib.Path) -> list[dict]:
  return json.loads(path.read_text())["cells"]


def test_they_are_the_three_that_the_pages_name():
  assert {path.stem for path in NOTEBOOKS} == set(SETTINGS)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_cells_are_few_and_open_with_a_sentence(path):
  assert len(cells(path)) <= 12
  for cell in cells(path):
    if cell["cell_type"] == "code":
      opening = re.match(r"(# .*\n)+", "".join(cell["source"]))
      assert opening, "open the cell with a comment"
      assert re.match(r"(?s)# [A-Z].*\.$", opening[0].strip()), opening[0]
      assert not cell["outputs"], "strip the outputs"
      assert cell["execution_count"] is None, "strip the outputs"
    else:
      assert re.search(r"^[A-Z].*\.", "".join(cell["source"]), re.M)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_the_first_code_cell_installs_the_package_and_no_other(path):
  sources = [
    "".join(cell["source"]) for cell in cells(path) if "outputs" in cell
  ]
  magics = [re.findall(r"^[%!].*$", source, re.M) for source in sources]
  (install,) = magics[0]
  extras = re.fullmatch(
    r'%pip install --quiet "\.\[([a-z,]+)\]" \{accelerator\}', install
  )[1].split(",")
  assert {"figures", "train"} <= set(extras)
  assert ("torch" in extras) == any("import torch" in s for s in sources)
  assert not any(magics[1:])


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_the_install_cell_finds_or_asks_for_a_repository(
  path, tmp_path, monkeypatch
):
  first = next(cell for cell in cells(path) if "outputs" in cell)
  source = "".join(s for s in first["source"] if not s.startswith("%"))
  monkeypatch.chdir(ROOT / "colab")
  for _ in range(2):  # run again, it stays
    exec(source, {})
    assert pathlib.Path.cwd() == ROOT
  monkeypatch.chdir(tmp_path)
  monkeypatch.delenv("DARKJAX_REPOSITORY", raising=False)
  with pytest.raises(AssertionError, match="set REPOSITORY"):
    exec(source, {})


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_runs(path, tmp_path):
  if path.stem == "decode_any_model":
    if importlib.util.find_spec("torch") is None:
      pytest.skip("its network is PyTorch's; docs/decode_any_model.md runs")
  settings = SETTINGS[path.stem] | {"folder": str(tmp_path / "work")}
  environment = os.environ | {
    "DARKJAX_NOTEBOOK": repr(settings),
    "DARKJAX_CACHE": str(tmp_path / "cache"),
    "JAX_COMPILATION_CACHE_DIR": str(ROOT / ".cache" / "jax"),
    "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    "JAX_NUM_CPU_DEVICES": "1",
    "PYTHONPATH": str(ROOT),
  }
  done = subprocess.run(
    [sys.executable, str(ROOT / "tests" / "run_notebook.py"), str(path)],
    env=environment,
    capture_output=True,
    text=True,
  )
  assert done.returncode == 0, done.stderr[-3000:]
  assert re.search(PRINTED[path.stem], done.stdout), done.stdout
  last = sum(cell["cell_type"] == "code" for cell in cells(path))
  assert done.stdout.count("--- cell") == last
  assert (tmp_path / "work").is_dir()
  assert "a picture of" in done.stdout.splitlines()[-1]
