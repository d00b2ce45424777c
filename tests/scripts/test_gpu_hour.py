"""The stages of the GPU's hour, small, on the CPU; and what is carried to it.

What needs PyTorch, which the tests do not install, is not run here.
"""

import functools
import json
import types

import absl.flags
import commands
import gpu_pack
import jax
import numpy as np
import pytest
from gpu_stages import cells, networks, profile, training
from gpu_stages.cells import Budget, Cell, Journal
from paths import ROOT
from tiny_config import OVERRIDES

from darkjax import checkpoint, models
from darkjax.data.pack import files
from darkjax.data.synthetic import dataset

ASSETS = ROOT / "darkjax" / "assets"
H100 = "NVIDIA H100 80GB HBM3"
ORIGIN = {"device": H100, "commit": "abc1234"}
CONFIG = "--config=coco_hrnet_w32_128x96"
NAMES = {
  use: f"annotations+person_keypoints_{use}.json@images"
  for use in ("train", "val")
}


@pytest.fixture(scope="module")
def people(tmp_path_factory):
  """Drawn people: 6 to train on and 3 to score, packed and expanded."""
  root = tmp_path_factory.mktemp("people")
  flags = []
  for use, count in (("train", 6), ("val", 3)):
    dataset.write_dataset(root, num_people=count, seed=3, split=use)
    flags.append(f"--{use}=annotations/person_keypoints_{use}.json:images")
  options = [CONFIG, f"--config.data.root={root}", *flags]
  options.append(f"--config.data.cache={root / 'cache'}")
  packed = commands.run("gpu_pack", f"--out={root / 'carried'}", *options)
  assert packed.returncode == 0, packed.stderr
  assert "{'train': 6, 'val': 3} people, quality 95, " in packed.stdout
  where = (f"--expand={root / 'carried'}", f"--out={root / 'packs'}")
  expanded = commands.run("gpu_pack", *where)
  assert expanded.returncode == 0, expanded.stderr
  assert expanded.stdout.startswith("9 canvases in ")
  return root


def test_people_travel_as_pictures(people):
  packs = [files.read(people / "packs" / name) for name in NAMES.values()]
  for pack in packs:
    pack.check_pixels()
  packs[1].check_labels()  # of validation alone, for scores
  assert (packs[0].folder / "labels.json").read_text() == "{}"
  sent = people / "carried" / NAMES["train"]
  ends = np.load(sent / "ends.npy")
  assert (sent / "canvases.webp").stat().st_size == ends[-1]
  assert not list((people / "carried").rglob("pages.npy"))


def test_pictures_are_the_canvases_but_for_compression(people, tmp_path):
  config = gpu_pack.command.parse(
    gpu_pack.define_flags,
    ["", "--out=x", CONFIG, f"--config.data.root={people}"],
  )[0].config
  config.data.cache = str(people / "cache")
  names = ["annotations/person_keypoints_train.json:images"]
  (pack,) = gpu_pack.pack(config, names, [], tmp_path)["train"]
  found = files.read(people / "packs" / NAMES["train"])
  for i in range(len(pack.people)):
    errors = np.int32(found.canvas(i)) - pack.canvas(i)
    # Levels of 255 at quality 95; the drawn edges are what suffers.
    assert np.abs(errors).mean() < 6
  with pytest.raises(absl.flags.Error, match="more than --mib=0"):
    gpu_pack.choose_quality([pack], 0.001)


def test_packing_needs_data():
  done = commands.run("gpu_pack", "--out=x")
  assert done.returncode == 2
  assert "packing needs --config and --train" in done.stderr


def lines_of(done) -> list[dict]:
  assert done.returncode == 0, done.stderr
  return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.fixture
def tiny(monkeypatch):
  """hrnet_small with a channel or two, and the usual promotion of types.

  For all threads, unlike `optax_promotion`: stage f compiles in another.
  """
  make = functools.partial(models.create_model, **OVERRIDES)
  monkeypatch.setattr(models, "create_model", make)
  monkeypatch.setattr(training, "_WRITING", 0.0)
  jax.config.update("jax_numpy_dtype_promotion", "standard")
  network = ["--size=128x96", "--networks=hrnet_small", "--training=2"]
  yield [*network, "--budget_s=1e9"]
  jax.config.update("jax_numpy_dtype_promotion", "strict")


def test_card_and_cpu_agree(tiny):
  lines = lines_of(commands.run("gpu_hour", "--stages=a", *tiny))
  assert not [line["error"] for line in lines if "error" in line]
  agree = {line["cell"]: line["agrees"] for line in lines if "agrees" in line}
  assert agree == {
    "a/decode": True,
    "a/step/pmap/float32": True,
    "a/step/shard_map/bfloat16": True,
  }


def test_decoders_and_profile(tiny):
  flags = ["--stages=b,e", "--many=1", "--turns=1", "--steps=1", *tiny]
  lines = lines_of(commands.run("gpu_hour", *flags, "--dtypes=float32"))
  assert not [line["error"] for line in lines if "error" in line]
  sides = {line["side"]: line for line in lines if "side" in line}
  assert sides["dark, official border"]["distance_px"] == 0
  assert sides["dark"]["microseconds"] > 0
  assert sides["dark"]["share_of_bandwidth"] is None
  shares = {line["kind"]: line["share"] for line in lines if "kind" in line}
  assert "convolution" in shares
  assert sum(shares.values()) == pytest.approx(1, abs=1e-3)  # rounded


def test_trains_and_saves(people, tiny, tmp_path):
  out = tmp_path / "out.jsonl"
  flags = [
    "--stages=f",
    f"--packs={people / 'packs'}",
    "--runs=biased",
    "--train_network=hrnet_small",
    "--batch=2",
    "--dtypes=float32",
    "--shortest_s=-1e9",  # begun however late it is; one step at least
    "--budget_s=2",
    f"--weights={tmp_path / 'weights'}",
    f"--out={out}",
  ]
  lines = lines_of(commands.run("gpu_hour", *flags))
  assert not [line["error"] for line in lines if "error" in line]
  (trained,) = [line for line in lines if "steps" in line]
  assert trained["steps"] >= 1
  (part,) = (tmp_path / "weights").iterdir()
  assert part.name == "biased.safetensors.0"
  part.rename(tmp_path / "biased.safetensors")
  _, metadata = checkpoint.load(tmp_path / "biased.safetensors")
  assert metadata.convention.alignment == "hrnet"
  assert metadata.convention.quantize == "round"
  assert out.read_text().splitlines() == [json.dumps(line) for line in lines]

  again = lines_of(commands.run("gpu_hour", *flags, "--skip_done"))
  assert again == []


def test_packs_are_asked_for():
  done = commands.run("gpu_hour", "--stages=f", "--runs=small")
  assert "stages d and f need --packs" in lines_of(done)[-1]["error"]
  done = commands.run("gpu_hour", "--stages=a,x")
  assert done.returncode == 2
  assert "unknown --stages ['x']" in done.stderr


def test_weights_come_in_parts(tmp_path, monkeypatch):
  monkeypatch.setattr(training, "_PART", 1000)
  variables, metadata = checkpoint.load(next(ASSETS.glob("*small*")))
  path = tmp_path / "small.safetensors"
  names = training.save(path, variables, metadata)
  assert names == [f"small.safetensors.{i}" for i in range(len(names))]
  whole = b"".join((tmp_path / name).read_bytes() for name in names)
  path.write_bytes(whole)
  again, _ = checkpoint.load(path)
  jax.tree.map(np.testing.assert_array_equal, again, variables)


def test_rate_drops_after_shares_of_the_time():
  config = training.read_config(
    training.RUNS["unbiased"],
    networks_flags := type(
      "Flags", (), {"train_network": None, "dtypes": ["bfloat16"], "batch": 8}
    ),
  )
  assert networks_flags.batch == config.train.batch_size
  # 170 and 200 of 210 epochs.
  shares = [0.0, 0.80, 0.81, 0.95, 0.953, 1.0]
  rates = [training.rate_at(share, config.optimizer) for share in shares]
  np.testing.assert_allclose(rates, [1e-3, 1e-3, 1e-4, 1e-4, 1e-5, 1e-5])


def journal_of(path):
  return Journal(str(path), ORIGIN)


def read(path) -> list[dict]:
  return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_failure_is_written_and_the_next_cell_runs(tmp_path, capsys):
  out = tmp_path / "out.jsonl"

  def fails():
    yield {"first": 1}
    raise MemoryError("no room")

  plan = [Cell("a/one", fails, 1), Cell("a/two", lambda: [{"second": 2}], 1)]
  cells.run_all(plan, journal_of(out), Budget(100))
  first, failed, second, ended = read(out)
  assert first == {"cell": "a/one", "first": 1, **ORIGIN}
  assert failed["error"] == "MemoryError: no room"
  assert second["second"] == 2
  assert "spent_s" in ended
  assert "Traceback" in capsys.readouterr().err
  assert journal_of(out).done() == {"a/two"}
  left = cells.without(plan, journal_of(out).done())
  assert [cell.name for cell in left] == ["a/one"]


@pytest.mark.parametrize("changed", ["device", "commit"])
def test_lines_from_elsewhere_finish_nothing(tmp_path, changed):
  journal_of(tmp_path / "out").write("a/one", spent_s=1.0)
  other = Journal(str(tmp_path / "out"), ORIGIN | {changed: "another"})
  assert other.done() == set()
  assert journal_of(tmp_path / "out").done() == {"a/one"}
  assert Journal(None, ORIGIN).done() == set()


def test_begins_no_cell_that_would_end_late(tmp_path, monkeypatch):
  now, begun = [0.0], []
  clock = types.SimpleNamespace(monotonic=lambda: now[0])
  monkeypatch.setattr(cells, "time", clock)

  def cell(name, seconds, *, takes):
    def run():
      begun.append(name)
      now[0] += takes
      return []

    return Cell(name, run, seconds)

  out = tmp_path / "out"
  plan = [
    cell("a/one", 100, takes=200),  # twice as long as it says
    cell("a/two", 100, takes=200),  # 400 s: 200 are expected, and there
    cell("a/three", 60, takes=60),  # 120 are expected of 100
    cell("b/one", 20, takes=60)._replace(adapts=True),  # another stage
    cell("b/two", 30, takes=30),
  ]
  cells.run_all(plan, journal_of(out), Budget(500))
  assert begun == ["a/one", "a/two", "b/one", "b/two"]
  (late,) = [line for line in read(out) if "not_begun" in line]
  assert late["not_begun"] == "needs 120 s, 100 s are left"


FLAGS = type(
  "Flags",
  (),
  {
    "networks": ["hrnet_w32", "hrnet_w48"],
    "training": ["64", "128"],
    "inference": ["128", "1"],
    "dtypes": ["bfloat16", "float32"],
    "size": "256x192",
  },
)
CASES = networks.cases(FLAGS)
INFERENCE = CASES[1]


def test_the_most_important_cases_come_first():
  assert [(c.model[-3:], c.task, c.batch) for c in CASES[:6]] == [
    ("w32", "training", 64),
    ("w32", "inference", 128),
    ("w32", "training", 128),
    ("w32", "inference", 1),
    ("w48", "training", 64),
    ("w48", "inference", 128),
  ]
  assert [case.dtype for case in CASES] == ["bfloat16"] * 8 + ["float32"] * 8


def test_figures_of_the_sides():
  seconds = {
    "darkjax": np.array([0.1, 0.1, 0.2]),
    "darkjax-argmax": np.array([0.098, 0.098, 0.196]),
    "torch": np.array([0.13, 0.13, 0.26]),
  }
  ours, argmax, torch = networks.summarize(
    INFERENCE, seconds, macs=7 * 10**9, device=H100
  )
  assert ours == {
    "side": "darkjax",
    "images_per_second": 1280.0,  # 128 in 0.1 s
    "of_torch": 1.3,
    # 1280 images of 14e9 operations a second, by 989e12.
    "share_of_peak": 0.0181,
    "decode_share": 0.02,
  }
  assert argmax["decode_share"] is torch["decode_share"] is None
  assert torch["of_torch"] == 1.0


def test_training_counts_three_passes():
  seconds = {"torch": np.array([0.064])}  # 1000 images a second
  (line,) = networks.summarize(
    CASES[0], seconds, macs=7 * 10**9, device="NVIDIA H200"
  )
  # 1000 · 3 · 14e9 by 989e12.
  assert line["share_of_peak"] == 0.0425


@pytest.mark.parametrize(
  ("device", "dtype"), [("cpu", "bfloat16"), (H100, "float32")]
)
def test_no_peak_no_share(device, dtype):
  (line,) = networks.summarize(
    INFERENCE._replace(dtype=dtype), {"darkjax": np.ones(3)}, 1, device
  )
  assert line["share_of_peak"] is line["of_torch"] is None


HLO = """
  %fusion.3 = f32[2] fusion(%a), metadata={op_name="jit(take)/jvp(HRNet)/\
stage2_0/branches_0_1/bn1/reduce_sum" source_line=3}
  loop-add_fusion = f32[2] fusion(%b), metadata={op_type="add" op_name="\
jit(take)/transpose(jvp(HRNet))/stage3_1/jit(relu)/max"}
  ROOT %copy.1 = f32[2] copy(%c), metadata={op_name="jit(take)/optimizer/mul"}
  %fusion.4 = f32[2] fusion(%a), metadata={op_name="jit(take)/cut_crops/gather"}
  %fusion.5 = f32[2] fusion(%a), metadata={op_name="jit(take)/jvp(HRNet)/\
stage2_0/branches_0_1/add"}
"""


def test_a_cards_streams_are_read_alone(monkeypatch, tmp_path):
  (tmp_path / "host.xplane.pb").touch()
  event = types.SimpleNamespace

  def line(name, **nanoseconds):
    events = [
      event(name=n, duration_ns=t, stats=[("hlo_op", n.replace("_", "."))])
      for n, t in nanoseconds.items()
    ]
    return types.SimpleNamespace(name=name, events=events)

  lines = [line("Stream #7(Compute)", fusion_3=2e9, nchwToNhwc=1e9)]
  card = types.SimpleNamespace(
    name="/device:GPU:0", lines=[*lines, line("XLA Modules", step=3e9)]
  )
  host = types.SimpleNamespace(name="/host:CPU", lines=[line("python", a=9e9)])
  data = types.SimpleNamespace(planes=[host, card])
  monkeypatch.setattr(
    jax.profiler.ProfileData, "from_file", staticmethod(lambda path: data)
  )
  spent = profile.kernel_seconds(tmp_path)
  # A library's kernel keeps its name, another has its operation's.
  assert spent == {"fusion.3": 2.0, "nchwToNhwc": 1.0}


def test_kernels_by_kind():
  spent = {
    "sm90_xmma_fprop_implicit_gemm_bf16": 5.0,
    "void cudnn::nchwToNhwcKernel": 1.0,
    "fusion_3": 2.0,
    "loop_convert_fusion": 0.0625,  # of types: no convolution
    "loop_add_fusion": 3.0,
    "copy_1": 0.5,  # of the optimizer, and yet a copy
    "fusion.4": 0.25,
    "fusion_5": 4.0,
    "unheard_of": 0.125,
  }
  assert profile.by_kind(spent, profile.operation_paths(HLO)) == {
    "convolution": 5.0,
    "layout copies": 1.5,
    "batch norm": 2.0,
    "resize and fuse": 3.0,
    "input cutting": 0.25,
    "residual additions": 4.0,
    "other": 0.1875,
  }
