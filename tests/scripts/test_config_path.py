"""Scripts that take --config are started as the README says."""

import subprocess
import sys

import pytest
from paths import ROOT


@pytest.mark.parametrize("script", ["bench_host", "bench_resident"])
def test_a_script_finds_the_files_that_a_configuration_extends(script):
  flags = ["--config=configs/coco_hrnet_w32_256x192.py", "--config.no_field=1"]
  done = subprocess.run(
    [sys.executable, f"scripts/{script}.py", *flags],
    cwd=ROOT,
    capture_output=True,
    text=True,
    check=False,
  )
  # The file was loaded, with what it extends, since its fields are known.
  assert "no_field" in done.stderr
  assert "No module named 'configs'" not in done.stderr
