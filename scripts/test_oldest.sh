#!/usr/bin/env bash
# A short list of tests with the oldest dependencies that pyproject.toml allows
# (scripts/oldest.txt), in a virtual environment of their own: .venv-oldest.
# scripts/test.sh has the newest. Arguments replace the list.
set -euo pipefail
unset VIRTUAL_ENV
venv=.venv-oldest
. "$(dirname "$0")/environment.sh"
install test --constraint scripts/oldest.txt

tests=(
  tests/test_api.py
  tests/test_docs.py
  tests/test_geometry.py
  tests/test_properties.py
  tests/checkpoint
  tests/data/coco/test_prepare.py
  tests/data/coco/test_unreadable.py
  tests/data/images
  tests/data/pipeline/test_batches.py
  tests/heatmaps/test_decode.py
  tests/heatmaps/test_encode.py
  tests/inference/detectors
  tests/metrics
  tests/predict/test_tracks.py
  tests/predict/test_video.py
  tests/train/test_checks.py
  tests/train/test_train.py::test_from_files_to_metrics
)
python -m pytest -n "${DARKJAX_TEST_PROCESSES:-2}" --dist loadfile \
  "${@:-${tests[@]}}"
