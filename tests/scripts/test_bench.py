"""What the benchmarks share, and that their commands read configurations."""

import functools

import absl.flags
import bench
import bench_host
import bench_resident
import numpy as np
import pytest
from paths import ROOT

from darkjax.runtime import command


def test_sides_take_turns():
  called = []
  sides = {name: functools.partial(called.append, name) for name in "ab"}
  times = bench.take_turns(sides, 11, calls=2, seldom="b")
  once = ["a", "a"]
  # One call each to compile; b takes part in the first and the last turn.
  ends = [*once, "b", "b"]
  assert called == ["a", "b", *ends, *(9 * once), *ends]
  assert np.isnan(times["b"]).sum() == 9
  assert (times["a"] >= 0).all()


def test_ratios_are_medians_over_common_turns():
  one, other = np.array([2.0, 9.0, 4.0]), np.array([1.0, np.nan, 1.0])
  assert bench.ratio(one, other) == 3.0


def test_a_line_says_where_it_comes_from(capsys):
  bench.show(side="darkjax")
  line = capsys.readouterr().out
  assert line.startswith('{"side": "darkjax", "machine": ')
  assert '"commit": ' in line


@pytest.mark.filterwarnings("ignore:the load_module:DeprecationWarning")
@pytest.mark.parametrize("script", [bench_host, bench_resident])
def test_flags_change_fields_of_a_configuration(script, monkeypatch):
  monkeypatch.chdir(ROOT)
  line = ["bench", "--config=configs/coco_hrnet_w32_256x192.py:biased"]
  line += ["--config.train.epochs=3", "--annotations=a.json", "--images=a"]
  if script is bench_resident:
    line = line[:3]
  flags, _ = command.parse(script.define_flags, line)
  assert flags.config.train.epochs == 3
  assert flags.config.convention.quantize == "round"
  with pytest.raises(absl.flags.Error, match="no_field"):
    command.parse(script.define_flags, [*line, "--config.no_field=1"])
