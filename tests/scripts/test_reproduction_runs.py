"""The runs of the reproduction: commands, stops, faults, what is left to do."""

import contextlib
import json
import os
import sys

import absl.flags
import ml_collections
import pytest
from absl import flags
from ml_collections import config_flags
from reproduction import recipes, runs
from reproduction.cells import Cell, Network, config_fields
from reproduction.tables import plan

from darkjax.train import log as report


def cells_of(*numbers, seeds=3):
  """The cells of tables on LSP."""
  return plan({"lsp": numbers}, scale="small", epochs={"lsp": 10}, seeds=seeds)


# ml_collections reads files by a method that Python 3.12 drops.
@pytest.mark.filterwarnings("ignore:the load_module:DeprecationWarning")
@pytest.mark.parametrize("data", runs.CONFIGS)
def test_a_cell_changes_known_fields_of_its_configuration(data, tmp_path):
  network = Network(encoding="biased", loss="dsnt", size=(192, 128))
  cell = Cell(data, "hrnet_small", network, 4, seed=2)
  overrides = ["data.cache=/tmp", "data.source=resident"]
  runner = runs.Runner(tmp_path, {data: "/data"}, overrides, stop=lambda: False)
  command = runner.train_command(cell)
  assert command[1:3] == ["-m", "darkjax.train"]
  values = flags.FlagValues()
  holder = config_flags.DEFINE_config_file(
    "config", flag_values=values, sys_argv=command[2:]
  )
  flags.DEFINE_string("workdir", None, "", flag_values=values)
  values(command[2:])
  config = holder.value
  assert isinstance(config, ml_collections.ConfigDict)
  for field, value in config_fields(cell).items():
    section, _, name = field.rpartition(".")
    assert (config[section] if section else config)[name] == value
  assert config.convention.quantize == "round"
  assert (config.convention.head, config.convention.sigma) == ("softmax", 1.5)
  assert (config.data.root, config.data.cache) == ("/data", "/tmp")
  assert config.data.source == "resident"
  assert values.workdir == str(tmp_path / cell.name)


class Fake(runs.Runner):
  """Trains and scores by small programs of its own."""

  def train_command(self, cell):
    rate = 10.0 + cell.seed
    log = {"step": 7, "argmax/AP/gt_boxes": 1.0, "images_per_second": rate}
    folder = self.workdir / cell.name
    path, step = folder / "metrics.jsonl", folder / "checkpoints" / "7"
    wait = "import time; time.sleep(60)\n" if "wait" in self.overrides else ""
    fail = "raise SystemExit(3)\n" if cell.seed == 1 else ""
    write = f"open({str(path)!r}, 'w').write({json.dumps(log)!r})\n"
    save = f"import os; os.makedirs({str(step)!r}, exist_ok=True)"
    return [sys.executable, "-c", f"{wait}{fail}{write}{save}"]

  def pack_command(self, cell):
    path = self.workdir / cell.name / "packed"
    return [sys.executable, "-c", f"open({str(path)!r}, 'w')"]

  def _process(self, command, folder, cores, kind):
    if kind == "evaluate":
      scores = {"metrics": {"dark/AP": 1.0}}
      command = [
        sys.executable,
        "-c",
        f"open({str(folder / 'scores.json')!r}, 'w')"
        f".write({json.dumps(scores)!r})",
      ]
    super()._process(command, folder, cores, kind)


def test_cells_are_trained_scored_and_not_run_again(tmp_path, caplog):
  cells = cells_of(1)
  runner = Fake(tmp_path, {"lsp": "x"}, ["a=b"], stop=lambda: False)
  failed = runner.run_all(cells, jobs=1)
  # The middle seed ends with status 3; the others are done all the same.
  assert failed == [cells[1]]
  assert "status 3, see" in caplog.text
  done = json.loads((tmp_path / cells[2].name / "cell.json").read_text())
  assert done["cell"] == {
    **{"data": "lsp", "model": "hrnet_small", "epochs": 10, "seed": 2},
    **{"family": "hrnet", "encoding": "biased", "loss": "mse"},
    "size": [128, 96],
  }
  assert done["images_per_second"] == 12.0
  assert [part["kind"] for part in done["parts"]] == ["train", "evaluate"]
  assert done["parts"][0]["overrides"] == ["a=b"]
  assert done["parts"][0]["cpu_seconds"] >= 0
  # Again: only the one that failed.
  before = (tmp_path / cells[2].name / "parts.jsonl").read_text()
  assert runner.run_all(cells, jobs=1) == failed
  assert (tmp_path / cells[2].name / "parts.jsonl").read_text() == before


def test_an_error_nobody_thought_of_fails_its_cell_alone(tmp_path, caplog):
  class Odd(Fake):
    def train_command(self, cell):
      return super().train_command(cell) if cell.seed else [0]

  cells = [c for c in cells_of(1) if c.seed != 1]
  runner = Odd(tmp_path, {"lsp": "x"}, [], stop=lambda: False)
  assert runner.run_all(cells, jobs=1) == [cells[0]]
  assert "TypeError" in caplog.text
  assert runner.is_done(cells[1])


def test_data_kept_on_the_device_are_packed_first(tmp_path):
  cell = cells_of(1)[0]
  for overrides, kinds in (
    ([], ["train", "evaluate"]),
    (["data.source=resident"], ["pack", "train", "evaluate"]),
  ):
    folder = tmp_path / str(len(overrides))
    runner = Fake(folder, {"lsp": "x"}, overrides, stop=lambda: False)
    assert runner.run_all([cell], jobs=1) == []
    parts = report.whole_lines(folder / cell.name / "parts.jsonl")
    assert [part["kind"] for part in parts] == kinds
    assert (folder / cell.name / "packed").exists() == (len(kinds) == 3)


def test_packs_of_sizes_and_alignments_lie_apart(tmp_path):
  cells = cells_of(4, seeds=1)
  runner = runs.Runner(tmp_path, {"lsp": "x"}, [], stop=lambda: False)
  folders = {
    flag
    for cell in cells
    for flag in runner.pack_command(cell)
    if flag.startswith("--config.data.pack=")
  }
  assert len(folders) == len(cells) == 6


def test_a_training_counts_once_its_last_step_is_saved(tmp_path):
  log = tmp_path / "metrics.jsonl"
  log.write_text('{"step": 9, "argmax/AP/gt_boxes": 1.0}\n{"step": 10, "arg')
  (tmp_path / "checkpoints/8").mkdir(parents=True)
  assert not runs.is_trained(tmp_path)
  (tmp_path / "checkpoints/9").mkdir()
  assert runs.is_trained(tmp_path)


# ml_collections reads files by a method that Python 3.12 drops.
@pytest.mark.filterwarnings("ignore:the load_module:DeprecationWarning")
def test_runs_of_another_recipe_are_refused(tmp_path):
  cell = cells_of(1)[0]

  def check(*overrides, root="x", of=cell):
    runs.Runner(tmp_path, {"lsp": root}, overrides, lambda: False).check([of])

  check()  # nothing there yet
  for wrong, message in (
    ("train.batch_size", "--set is FIELD=VALUE, got 'train.batch_size'"),
    ("train.batchsize=3", "batchsize"),
  ):
    with pytest.raises((ValueError, absl.flags.Error), match=message):
      check(wrong)
  runner = runs.Runner(tmp_path, {"lsp": "x"}, ["seed=7"], lambda: False)
  made = recipes.recipe(runner.fields(cell))
  assert (made["seed"], made["convention.alignment"]) == (7, "hrnet")
  folder = tmp_path / cell.name
  folder.mkdir()
  (folder / "config.json").write_text(json.dumps({"seed": 7, "old_field": 1}))
  check("seed=7", "train.log_every_steps=2", root="elsewhere")
  with pytest.raises(ValueError, match=r"recipe \(seed was 7, is now 0\)"):
    check()


def test_a_stop_ends_the_process_and_keeps_its_folder(tmp_path):
  cells = cells_of(1)
  begun = (tmp_path / cells[0].name / "train.log").exists
  runner = Fake(tmp_path, {"lsp": "x"}, ["wait"], stop=begun)
  assert runner.run_all(cells, jobs=2) == []
  assert not any(runner.is_done(cell) for cell in cells)
  parts = report.whole_lines(tmp_path / cells[0].name / "parts.jsonl")
  assert [part["kind"] for part in parts] == ["train"]
  assert not (tmp_path / cells[2].name).exists()


def test_a_folder_is_kept_for_a_program_and_what_it_started(tmp_path):
  sleep = "import time; time.sleep(60)"
  with contextlib.ExitStack() as orphans:
    with runs.locked(tmp_path), (tmp_path / "log").open("w") as log:
      with (
        pytest.raises(RuntimeError, match="is in use"),
        runs.locked(tmp_path),
      ):
        pass
      command = [sys.executable, "-c", sleep]
      cores = os.sched_getaffinity(0)
      process = runs._started(command, cores, log)
      process = orphans.enter_context(process)
      orphans.callback(process.wait)
      orphans.callback(process.kill)
    with pytest.raises(RuntimeError, match="is in use"), runs.locked(tmp_path):
      pass
  with runs.locked(tmp_path):
    pass


def test_jobs_share_the_cores():
  cores = os.sched_getaffinity(0)
  assert runs.shares(1) == [cores]
  split = runs.shares(len(cores))
  assert set.union(*split) == cores
  assert all(len(share) == 1 for share in split)
  for jobs in (0, len(cores) + 1):
    with pytest.raises(ValueError, match="the cores here"):
      runs.shares(jobs)
