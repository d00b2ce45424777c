"""The best weights of a run, and a run that ends early."""

import pytest
from tiny_run import assert_same_bits, fit, log, stopping_at, tiny_config

from darkjax import checkpoint
from darkjax.train.best import Best

METRIC = "dark/AP/gt_boxes"

pytestmark = pytest.mark.usefixtures("optax_promotion")


def config(patience=0, metric=METRIC):
  settings = tiny_config()
  settings.train.update(epochs=5, evaluate_every_epochs=1)
  settings.train.update(keep_best=metric, patience=patience)
  return settings


def evaluations(*values, metric=METRIC):
  return [{"step": 2 * n, metric: x} for n, x in enumerate(values, 1)]


@pytest.mark.parametrize(
  ("values", "metric", "expected"),
  [
    ([3.0], METRIC, (2, 3.0, 0)),
    ([3.0, 5.0, 4.0], METRIC, (4, 5.0, 1)),
    ([3.0, 3.0, 3.0], METRIC, (2, 3.0, 2)),
    ([-1.0, 0.0], METRIC, (4, 0.0, 0)),
    ([3.0, 5.0, 4.0], "dark/error_px/gt_boxes", (2, 3.0, 2)),
  ],
)
def test_the_first_best_value_counts(values, metric, expected):
  assert Best.of(evaluations(*values, metric=metric), metric) == expected


def test_the_best_weights_are_kept_beside_the_last(tmp_path):
  metrics, scored = fit(config(), tmp_path, scores=[1, 7, 3, 7, 2])
  assert metrics == {METRIC: 2}
  best, _ = checkpoint.load(tmp_path / "best")
  assert_same_bits(best, scored[1])
  last, _ = checkpoint.load(tmp_path)
  assert_same_bits(last, scored[4])


def test_a_run_ends_after_evaluations_without_a_better_one(tmp_path, caplog):
  with caplog.at_level("INFO"):
    metrics, scored = fit(config(2), tmp_path, scores=[1, 7, 3, 7, 9])
  assert len(scored) == 4
  assert metrics == {METRIC: 7}
  assert "2 evaluations without a better dark/AP/gt_boxes than 7 at step 4" in (
    caplog.text
  )
  assert_same_bits(checkpoint.load(tmp_path)[0], scored[3])
  # Started again, it is still over.
  again, scored = fit(config(2), tmp_path, scores=[])
  assert (again, scored) == (metrics, [])


def test_a_resumed_run_remembers_its_best(tmp_path):
  with pytest.raises(KeyboardInterrupt):
    fit(config(2), tmp_path, stopping_at(5), scores=[7, 3])
  _, scored = fit(config(2), tmp_path, scores=[5, 9])
  assert len(scored) == 1
  assert [line["step"] for line in log(tmp_path) if METRIC in line] == [2, 4, 6]


def test_weights_of_steps_that_are_done_again_are_forgotten(tmp_path, caplog):
  settings = config()
  settings.train.checkpoint_every_epochs = 3
  with pytest.raises(KeyboardInterrupt):
    fit(settings, tmp_path, stopping_at(9), scores=[1, 2, 3, 9])
  assert checkpoint.load(tmp_path / "best", step=8)
  # From step 6, at another rate.
  settings.optimizer.learning_rate = 1e-4
  _, scored = fit(settings, tmp_path, scores=[5, 4])
  assert "goes on behind the best step 8" in caplog.text
  assert_same_bits(checkpoint.load(tmp_path / "best")[0], scored[0])


@pytest.mark.parametrize(
  ("settings", "message"),
  [
    (
      config(metric="dark/ap/gt_boxes"),
      "keep_best='dark/ap/gt_boxes' is no metric .*: dark/AP/gt_boxes",
    ),
    (config(2, metric=""), "needs the metric of train.keep_best"),
    (config(-1), "got -1 and"),
  ],
)
def test_settings_that_fit_nothing_are_refused(tmp_path, settings, message):
  with pytest.raises(ValueError, match=message):
    fit(settings, tmp_path)
