"""The grid, cell by cell against plain evaluations, and how it is printed."""

import dataclasses
import functools
import json

import ablation_grid
import ablation_report
import blobs
import pytest
from small_network import GAUSSIAN, SOFTMAX

from darkjax import convention
from darkjax.data.coco import prepare
from darkjax.data.pipeline import batches as pipeline
from darkjax.evaluate import predict, scores
from darkjax.inference.ensemble import Member


@pytest.fixture(scope="module")
def source(tmp_path_factory):
  folder = blobs.write(tmp_path_factory.mktemp("blobs"))
  return prepare.load(
    folder / "people.json", folder, cache_dir=folder / "cache"
  )


@pytest.mark.filterwarnings("ignore:.*:DeprecationWarning")
def test_cells_are_what_evaluations_one_by_one_give(source):
  trained = blobs.convention_of(source.skeleton, "dark")
  model = blobs.Sampler(trained)
  cells = ablation_grid.evaluate(
    Member(model, {}, trained),
    functools.partial(pipeline.eval_batches, source, batch_size=4),
    source.annotations,
  )
  assert len(cells) == 3 * 2
  for alignment, shift in (("dark", 0), ("hrnet", 1), ("udp", 1)):
    used = dataclasses.replace(trained, alignment=alignment, flip_shift=shift)
    people = predict.predict(
      model, {}, pipeline.eval_batches(source, used, batch_size=4), used
    )
    alone = scores.score(people, source.annotations, used.skeleton)
    cell = cells[alignment, shift]
    assert list(cell)[: len(alone)] != list(alone)  # more decoders there
    # The same arithmetic compiled into another program.
    assert {name: cell[name] for name in alone} == pytest.approx(
      alone, rel=1e-4, abs=1e-3
    )
  one = ablation_grid.evaluate_trained(
    Member(model, {}, trained),
    functools.partial(pipeline.eval_batches, source, batch_size=4),
    source.annotations,
  )
  assert one == cells["dark", 0]


@pytest.mark.filterwarnings("ignore:.*:DeprecationWarning")
def test_what_only_the_grid_has_differs_by_decoder(source):
  trained = blobs.convention_of(source.skeleton, "dark")
  batches = pipeline.eval_batches(source, trained, batch_size=4)
  people = ablation_grid.predict(
    Member(blobs.Sampler(trained), {}, trained), batches
  )
  assert list(people[0].keypoints) == list(ablation_grid.DECODERS)
  error = functools.partial(blobs.error, people[0])
  # On clean peaks: none of argmax's error, a quarter px, none.
  assert error("dark, no modulation") < 0.03  # as in test_evaluate.py
  assert error("dark, official border") < 0.03
  assert error("dark") < error("standard, Eq. 1") < error("argmax")
  assert error("standard") != error("standard, Eq. 1")


def test_softmax_heads_are_integrated_too():
  assert list(ablation_grid.decoders(GAUSSIAN)) == list(ablation_grid.DECODERS)
  assert list(ablation_grid.decoders(SOFTMAX)) == [
    *ablation_grid.DECODERS,
    "integral",
  ]


def measured(trained: convention.Convention, value: float):
  """Every metric of a cell is its own number."""
  cells = {}
  for i, alignment in enumerate(("hrnet", "dark", "udp")):
    for shift in (0, 1):
      cells[alignment, shift] = {
        f"{decoder}/{metric}/gt_boxes": value + 10 * i + shift + j / 10
        for j, decoder in enumerate(ablation_grid.DECODERS)
        for metric in ablation_report.METRICS
      }
  return ablation_report.Measured("runs/x", trained, cells, "gt_boxes")


def test_tables_show_the_cell_of_training_beside_the_paper():
  used = dataclasses.replace(GAUSSIAN, alignment="hrnet", flip_shift=1)
  lines = list(ablation_report.tables({"biased": measured(used, 40.0)}))
  # hrnet is the first alignment: 40 + 1 for the shift + 0.4 for "dark".
  assert lines.count(f"| biased | dark | here | {' | '.join(6 * ['41.40'])} |")
  assert "| biased | dark | paper | 68.4 | 88.6 | 77.4 | 66.0 | 74.0 |" in (
    "\n".join(lines)
  )
  absent = " | ".join(6 * ["not given"])
  assert f"| unbiased | dark | here | {absent} |" in lines


def test_cells_of_another_convention_are_marked():
  lines = list(
    ablation_report.grid_lines({"unbiased": measured(GAUSSIAN, 40.0)}, "AP")
  )
  rows = [line.split(" | ") for line in lines if line.startswith("| unbiased")]
  assert len(rows) == 6
  for _, alignment, shift, *numbers in rows:
    as_trained = (alignment, shift) == ("dark", "0")
    assert all(("*" not in number) == as_trained for number in numbers)
  assert "| biased |  |  | not given |" in "\n".join(lines)


def test_people_of_no_such_size_have_a_dash():
  one = measured(GAUSSIAN, 40.0)
  one.cells["dark", 0]["dark/APM/gt_boxes"] = -100.0
  lines = "\n".join(ablation_report.tables({"unbiased": one}))
  assert "| unbiased | dark | here | 50.40 | 50.40 | 50.40 | - |" in lines


def test_a_metric_nobody_measured_is_named_with_those_there_are():
  lines = ablation_report.grid_lines(
    {"unbiased": measured(GAUSSIAN, 40.0)}, "PCK"
  )
  assert list(lines)[1:] == [
    "Not measured; there are: AP, AP50, AP75, APM, APL, AR"
  ]


def test_json_holds_every_number():
  content = json.loads(
    ablation_report.as_json(
      {"unbiased": measured(GAUSSIAN, 40.0)}, {"people": 6}
    )
  )
  cells = content["found"]["unbiased"]["cells"]
  assert [cell["as_trained"] for cell in cells].index(True) == 2  # dark, 0
  assert cells[5]["metrics"]["argmax/AR/gt_boxes"] == 40 + 20 + 1
  assert {"encoder": "unbiased", "decoder": "dark"}.items() <= content["paper"][
    -1
  ].items()
