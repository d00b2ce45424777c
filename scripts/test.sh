#!/usr/bin/env bash
# Style, types and tests, as continuous integration runs them. Arguments go to
# pytest: bash scripts/test.sh -k geometry
# The files of tests are shared out over DARKJAX_TEST_PROCESSES processes, 3 by
# default, one of which mostly waits for runs it has started; each needs up to
# 3 GB.
set -euo pipefail
. "$(dirname "$0")/environment.sh"
install test
ruff check .
ruff format --check .
mypy darkjax
python -m pytest -n "${DARKJAX_TEST_PROCESSES:-3}" --dist loadfile \
  --no-loadscope-reorder "$@"
