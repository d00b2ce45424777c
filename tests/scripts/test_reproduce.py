"""The reproduction: what is planned, claimed, scored and reported."""

import dataclasses
import json
import re

import ablation_grid
import ablation_report
import blobs
import commands
import numpy as np
import pytest
import tiny_config
from published import docstring, load
from reproduction import plots, report, scores, verdicts
from reproduction.cells import (
  FAMILIES,
  SIGMAS,
  SIZES,
  Cell,
  Network,
  config_fields,
)
from reproduction.tables import (
  BIASED,
  DATA_TABLES,
  UNBIASED,
  Claim,
  Trend,
  plan,
  tables,
)
from small_network import GAUSSIAN

from darkjax import checkpoint, models, skeletons
from darkjax.data.synthetic import dataset

EPOCHS = {"lsp": 10, "synthetic": 5}


def planned(numbers=None, data=("lsp", "synthetic"), scale="small", seeds=3):
  chosen = {name: numbers or DATA_TABLES.get(name, ()) for name in data}
  return plan(chosen, scale=scale, epochs=EPOCHS, seeds=seeds)


def test_the_plan_trains_every_network_once_and_the_pair_first():
  cells = planned()
  names = [cell.name for cell in cells]
  assert len(set(names)) == len(names)
  # Pairs at three sizes and of two more families, and two heads; the drawn
  # people only the pair at 128×96.
  assert len(cells) == 3 * (2 * (3 + 2) + 2) + 3 * 2
  pair = [(c.data, c.seed, c.network.encoding) for c in cells[:12]]
  assert pair == [
    (data, seed, encoding)
    for data in ("lsp", "synthetic")
    for seed in range(3)
    for encoding in ("biased", "unbiased")
  ]
  assert all(
    c.network._replace(encoding="") == cells[0].network._replace(encoding="")
    for c in cells[:12]
  )
  assert [c.network.size for c in cells[12:18]] == [(64, 64)] * 6
  assert {c.network.loss for c in cells[18:24]} == {"ipr", "dsnt"}
  assert {c.network.family for c in cells[24:36]} == {
    "hourglass",
    "simple_baseline",
  }
  assert {c.network.size for c in cells[36:]} == {(192, 128)}


def test_tables_share_networks():
  names = [c.name for c in planned((1, 2, 3, 8), data=["lsp"], seeds=1)]
  assert names == [
    "lsp-hrnet_small-128x96-biased-mse-10epochs-seed0",
    "lsp-hrnet_small-128x96-unbiased-mse-10epochs-seed0",
  ]
  assert len(planned((4,), data=["lsp"], seeds=1)) == 6


def test_any_table_may_be_asked_of_drawn_people():
  cells = planned((6,), data=["synthetic"], seeds=1)
  assert [cell.network.loss for cell in cells] == ["mse", "dsnt", "ipr"]


def test_unknown_tables_and_data_are_refused():
  with pytest.raises(ValueError, match=r"tables are \[1, 2.* got \[7\]"):
    planned((7,))
  with pytest.raises(ValueError, match=r"got \['coco'\]"):
    planned(data=["coco"])


@pytest.mark.parametrize("scale", FAMILIES)
def test_networks_take_the_sizes_of_their_scale(scale):
  assert set(FAMILIES[scale].values()) <= set(models.MODELS)
  # HRNet and SimpleBaseline take multiples of 32, Hourglass 64 at least.
  sides = [side for size in SIZES[scale] for side in size]
  assert all(side % 32 == 0 and side >= 64 for side in sides)
  assert {size[0] for size in SIZES[scale]} <= set(SIGMAS)


@pytest.mark.parametrize("scale", FAMILIES)
def test_the_papers_numbers_are_those_of_the_grid(scale):
  # Both were read off Tables 1 to 3, at different times.
  for number in (1, 2, 3):
    for row in tables(scale)[number].rows.values():
      expected = ablation_report.PAPER[row.network.encoding, row.decoder][0]
      assert row.paper == {"AP": expected}


@pytest.mark.parametrize("scale", FAMILIES)
def test_every_claim_holds_in_the_paper(scale):
  for table in tables(scale).values():
    for claim in table.claims:
      gap = verdicts.paper_gap(table, claim)
      assert gap is None or gap > 0


def test_papers_numbers_of_other_tables_are_the_configurations():
  for number, name, row in (
    (4, "coco_hrnet_w32_256x192", "256×192, DARK"),
    (4, "coco_hrnet_w32_384x288:biased", "384×288, baseline"),
    (5, "coco_hourglass_4_128x96", "hourglass, DARK"),
    (5, "coco_simple_baseline_50_128x96:biased", "simple_baseline, baseline"),
    (6, "coco_hrnet_w32_128x96_dsnt", "DSNT"),
    (6, "coco_hrnet_w32_128x96_ipr", "IPR"),
  ):
    text = docstring(name)
    assert f"AP {tables('paper')[number].rows[row].paper['AP']}" in text


def test_rates_stand_to_each_other_as_in_the_paper():
  rates = {}
  for family, config in (
    ("hrnet", "coco_hrnet_w32_128x96"),
    ("simple_baseline", "coco_simple_baseline_50_128x96"),
    ("hourglass", "coco_hourglass_4_128x96"),
  ):
    network = Network(family=family)
    cell = Cell("lsp", FAMILIES["paper"][family], network, 10, seed=0)
    published = load(config)
    ours = config_fields(cell)["optimizer.learning_rate"]
    rates[family] = ours / published.optimizer.learning_rate
  assert set(rates.values()) == {2.0}


def results(*seeds):
  """Made-up results: by encoding and decoder, AP by seed."""
  return {
    (network, seed): {
      "cell": {"model": "hrnet_small", "epochs": 10, "seed": seed},
      "metrics": {
        f"{decoder}/{metric}": float(values[seed])
        for (encoding, decoder), values in seeds[0].items()
        if encoding == network.encoding
        for metric in report.SHOWN
      },
      "training_seconds": 60 * (seed + 1),
      "training_cpu_seconds": 30,
      "images_per_second": 40,
      "parts": [
        {"machine": "M", "cores": 1, "commit": f"c{seed}", "overrides": ["a=b"]}
      ],
    }
    for network in (BIASED, UNBIASED)
    for seed in range(3)
  }


MADE_UP = results(
  {
    ("biased", "argmax"): (10, 12, 14),
    ("biased", "standard"): (11, 13, 15),
    ("biased", "dark, no modulation"): (12, 12, 17),
    ("biased", "dark"): (12, 14, 14.5),
    ("unbiased", "standard"): (11, 13, 14),
    ("unbiased", "dark"): (16, 18, 20),
  }
)


def test_verdicts_weigh_gaps_by_their_spread_seed_by_seed():
  table = tables("small")[1]
  first, second = table.claims
  # The rows spread by 2, their gaps not at all: 1 at each seed.
  assert verdicts.gaps(MADE_UP, table, first) == {0: 1, 1: 1, 2: 1}
  assert verdicts.verdict([1, 1, 1]) == "holds"
  # Gaps 1, 1, -0.5: mean 0.5, standard deviation 0.87.
  values = list(verdicts.gaps(MADE_UP, table, second).values())
  assert values == [1, 1, -0.5]
  assert verdicts.verdict(values) == "within the spread"
  assert verdicts.verdict([-1, -2]) == "does not hold"
  assert verdicts.verdict([0.1]) == "one seed: holds"
  assert verdicts.verdict([]) == "not run"


def test_a_trend_compares_gaps():
  table = tables("small")[3]
  trend = Trend(
    Claim("biased, DARK", "unbiased, DARK"),
    Claim("biased, standard", "unbiased, standard"),
  )
  assert verdicts.gaps(MADE_UP, table, trend) == {0: 4, 1: 4, 2: 6.5}
  # 70.7 - 68.4 and 68.0 - 66.9.
  assert verdicts.paper_gap(table, trend) == pytest.approx(2.3 - 1.1)


def test_the_report_sets_the_paper_beside_us():
  small = tables("small")
  text = "\n".join(report.lines(MADE_UP, small, "lsp", {1: "one.png"}))
  rows = text.splitlines()
  # The mean of 10, 12, 14 and their standard deviation.
  assert rows[4].startswith("| no shift | 61.2 | 12.00 ± 2.00 |")
  assert (
    "| AP: no shift < standard | +5.7 | +1.00 ± 0.00 | – | 3 of 3 |" in text
  )
  # Gaps 1, 1, -0.5: 0.5 in standard errors of 0.87 / sqrt(3).
  assert "| AP: standard < DARK | +1.5 | +0.50 ± 0.87 | 1.0 | 2 of 3 |" in text
  assert "holds |" in text
  assert "![Table 1, lsp](one.png)" in text
  assert "| IPR | 68.0 | not run |" in text
  assert "| 90.3 | 37.7 |" in text  # Table 8 has two columns of the paper
  # Median of one, two and three minutes; every commit.
  assert "| 0, 1, 2 | 2.0 | 0.5 | 40 | M; 1 | c0, c1, c2 | a=b |" in rows[-1]
  few = {number: small[number] for number in (1, 2)}
  assert "input size" not in "\n".join(report.lines(MADE_UP, few, "lsp", {}))
  # Every line of a table has as many cells as its header.
  blocks = re.findall(r"(?:^\|.*\n?)+", text, re.M)
  assert len(blocks) == 2 * 7 + 1
  for block in blocks:
    assert len({line.count("|") for line in block.splitlines()}) == 1


def test_a_report_replaces_what_stands_between_its_comments(tmp_path):
  page = tmp_path / "page.md"
  first, last = (f"<!-- reproduce lsp small: {w} -->" for w in ("begin", "end"))
  page.write_text(f"before\n{first}\nold\n{last}\nafter\n")
  for text in ("new \\1", "newer"):
    report.write(page, "lsp small", text)
    assert page.read_text() == f"before\n{first}\n\n{text}\n\n{last}\nafter\n"
  with pytest.raises(ValueError, match="no lines <!-- reproduce lsp paper"):
    report.write(page, "lsp paper", "x")


@pytest.mark.filterwarnings("ignore:.*:DeprecationWarning")
def test_plots_show_tables_of_one_and_of_two_metrics():
  one, two = tables("small")[1], tables("small")[8]
  assert plots.plot({}, one, "nothing") is None
  small = plots.plot(MADE_UP, one, "Table 1")
  large = plots.plot(MADE_UP, two, "Table 8")
  assert small.width == large.width
  assert small.height < large.height
  assert small.getextrema() != ((255, 255),) * 3


@pytest.mark.filterwarnings("ignore:.*:DeprecationWarning")
def test_results_are_read_by_network_and_seed(tmp_path):
  cells = planned((1,), data=["lsp"])
  folder = tmp_path / cells[1].name
  folder.mkdir()
  (folder / "cell.json").write_text('{"metrics": {}}')
  found = verdicts.read(tmp_path, cells)
  assert found == {(BIASED, 1): {"metrics": {}}}


def test_rows_are_read_by_decoders_of_their_heads():
  heads = {"mse": "gaussian", "ipr": "softmax", "dsnt": "softmax"}
  for table in tables("small").values():
    for row in table.rows.values():
      head = heads[row.network.loss]
      convention = dataclasses.replace(GAUSSIAN, head=head)
      assert row.decoder in ablation_grid.decoders(convention)
      assert (row.decoder == "integral") == (head == "softmax")


@pytest.mark.filterwarnings("ignore:.*:DeprecationWarning")
def test_a_trained_network_is_scored_on_its_validation_set(
  tmp_path, monkeypatch
):
  annotations = dataset.write_dataset(tmp_path, num_people=3, seed=2)
  fields = {"name": "hrnet_small", "num_keypoints": 17}
  convention = blobs.convention_of(skeletons.COCO, "hrnet", crop_size=(64, 64))
  config = tiny_config.get_config()
  config.data.root, config.data.cache = str(tmp_path), str(tmp_path / "cache")
  config.data.val = (str(annotations.relative_to(tmp_path)), "images")
  with checkpoint.manager(tmp_path / "run" / "checkpoints") as checkpoints:
    checkpoint.save(
      checkpoints,
      1,
      variables={"params": {"kernel": np.ones(2, np.float32)}},
      training=None,
      metadata=checkpoint.Metadata(convention, fields, config.to_dict()),
    )

  def evaluate(member, crops, path):
    # What it does is tested in test_grid.py.
    assert member.convention == convention
    assert member.variables["params"]["kernel"].tolist() == [1, 1]
    assert type(member.model).__name__ == "HRNet"
    assert path == annotations
    people = sum(int(batch["mask"].sum()) for batch in crops(convention))
    return {"dark/AP/gt_boxes": float(people)}

  monkeypatch.setattr(ablation_grid, "evaluate_trained", evaluate)
  found = scores.scores(str(tmp_path / "run"))
  assert found["metrics"] == {"dark/AP": 3.0}
  assert found["people"] == 3
  assert "alignment=hrnet" in found["convention"]


@pytest.mark.filterwarnings("ignore:.*:DeprecationWarning")
@pytest.mark.parametrize("named", ["", "by heart"])
def test_the_command_writes_tables_and_plots(tmp_path, named):
  for cell in planned((1,), data=["synthetic"], seeds=2):
    folder = tmp_path / "runs" / cell.name
    folder.mkdir(parents=True)
    result = MADE_UP[BIASED, cell.seed]
    (folder / "cell.json").write_text(json.dumps(result))
  page = tmp_path / "page.md"
  name = f"synthetic small {named}".strip()
  page.write_text(
    f"<!-- reproduce {name}: begin -->\n<!-- reproduce {name}: end -->\n"
  )
  arguments = (
    "--data=synthetic",
    f"--workdir={tmp_path / 'runs'}",
    f"--report={page}",
    f"--named={named}",
    *(["--tables=1"] if named else []),
  )
  done = commands.run("reproduce", *arguments)
  assert done.returncode == 0, done.stderr
  assert done.stdout == f"{name}: 2 networks\n"
  # Means of the first two of three seeds.
  assert "| no shift | 61.2 | 11.00 ± 1.41 |" in page.read_text()
  # Table 3 lacks the unbiased half, and is drawn all the same.
  pictures = [
    f"reproduce_{name.replace(' ', '_')}_{number}.png"
    for number in ((1,) if named else (1, 2, 3, 8))
  ]
  assert sorted(p.name for p in tmp_path.glob("*.png")) == pictures
  assert all(f"]({picture})" in page.read_text() for picture in pictures)


def test_a_mistake_is_one_line():
  done = commands.run("reproduce", "--tables=7")
  assert done.returncode == 2
  assert done.stderr == "error: tables are [1, 2, 3, 4, 5, 6, 8], got [7]\n"
