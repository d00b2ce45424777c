"""Both countings of multiply-adds against the published figures."""

import pytest

from darkjax.models import cost as cost_table
from darkjax.models import create_model

# Parameters, then (official GFLOPs, GMACs) at 128×96, 256×192 and 384×288,
# from the official modules in PyTorch; theirs of the hourglass fail at the
# larger two.
PUBLISHED = {
  "hrnet_w32": (28_536_113, (1.78, 1.91), (7.12, 7.65), (16.02, 17.20)),
  "hrnet_w48": (63_595_745, (3.65, 3.92), (14.61, 15.69), (32.88, 35.31)),
  "simple_baseline_50": (
    33_999_697,
    (2.25, 1.36),
    (8.99, 5.43),
    (20.23, 12.21),
  ),
  "simple_baseline_101": (
    52_991_825,
    (3.09, 2.27),
    (12.38, 9.06),
    (27.85, 20.39),
  ),
  "simple_baseline_152": (
    68_635_473,
    (3.94, 3.17),
    (15.76, 12.70),
    (35.47, 28.57),
  ),
  "hourglass_4": (13_020_612, (2.68, 2.88)),
  "hourglass_8": (25_598_472, (4.90, 5.27)),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_costs_equal_the_published_figures(name):
  parameters, *figures = PUBLISHED[name]
  counts = cost_table.model_cost(create_model(name), (128, 96))
  assert counts.parameters == parameters
  # Convolutions alone: cost goes with the area, see the next test.
  for area, (official, macs) in zip((1, 4, 9), figures, strict=False):
    assert round(area * counts.official / 1024**3, 2) == official
    assert round(area * counts.macs / 1e9, 2) == macs


@pytest.mark.parametrize("name", ["hrnet_small", "simple_baseline_18"])
def test_cost_goes_with_the_area(name):
  model = create_model(name)
  small, large = (
    cost_table.model_cost(model, s) for s in ((64, 96), (192, 288))
  )
  assert large.official == 9 * small.official
  assert large.macs == 9 * small.macs


def test_the_counts_of_a_small_network_by_hand():
  # SimpleBaseline of one basic block a layer, 1, 2, 4, 8 features, 32×64:
  # kernel sizes times output areas, layer by layer.
  model = create_model(
    "simple_baseline_18",
    5,
    blocks=(1, 1, 1, 1),
    features=1,
    deconv_features=2,
  )
  stem = 7 * 7 * 3 * 1 * (16 * 32)
  layer1 = 2 * 9 * 1 * 1 * (8 * 16)
  layer2 = (9 * 1 * 2 + 9 * 2 * 2 + 1 * 2) * (4 * 8)
  layer3 = (9 * 2 * 4 + 9 * 4 * 4 + 2 * 4) * (2 * 4)
  layer4 = (9 * 4 * 8 + 9 * 8 * 8 + 4 * 8) * (1 * 2)
  body = stem + layer1 + layer2 + layer3 + layer4
  deconvs = 16 * 8 * 2 * (1 * 2) + 16 * 2 * 2 * (2 * 4) + 16 * 2 * 2 * (4 * 8)
  head = 2 * 5 * (8 * 16)
  counts = cost_table.model_cost(model, (32, 64))
  assert counts.macs == body + deconvs + head
  assert counts.official == body + 4 * deconvs + head


@pytest.mark.parametrize(
  ("name", "parameters", "macs"),
  [
    ("hrnet_small", 1.3e6, 115e6),
    ("simple_baseline_small", 3.2e6, 138e6),
    ("hourglass_small", 0.44e6, 112e6),
  ],
)
def test_the_small_networks_for_cpus_are_small(name, parameters, macs):
  # Comparable with each other, as the reproduction of Table 5 wants them.
  counts = cost_table.model_cost(create_model(name, 14), (128, 96))
  assert counts.parameters < parameters
  assert counts.macs == pytest.approx(macs, rel=0.01)


def test_the_table_prints_every_counting(monkeypatch):
  small = {"hrnet_small": cost_table.models.MODELS["hrnet_small"]}
  monkeypatch.setattr(cost_table.models, "MODELS", small)
  header, *rows = cost_table.table().splitlines()
  assert header.split()[0] == "model"
  assert len(rows) == len(cost_table.SIZES)
  # 1,251,201: the parameter count of this very file's model, by cost().
  assert rows[0].split()[:3] == ["hrnet_small", "128x96", "1,251,201"]
  # Rounded from 115,000,000 or so, see the budget test above.
  assert rows[0].split()[3:] == ["0.11", "0.11"]
