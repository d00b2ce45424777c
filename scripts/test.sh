#!/usr/bin/env bash
# Style, types and tests, as continuous integration runs them. Arguments go to
# pytest: bash scripts/test.sh -k geometry
# The files of tests are shared out over DARKJAX_TEST_PROCESSES processes, 2 by
# default; each needs up to 3 GB.
set -euo pipefail
. "$(dirname "$0")/environment.sh"
install test
ruff check .
ruff format --check .
mypy darkjax
python -m pytest -n "${DARKJAX_TEST_PROCESSES:-2}" --dist loadfile \
  --no-loadscope-reorder "$@"
