#!/usr/bin/env bash
# Style and tests, as continuous integration runs them. Arguments go to pytest:
#   bash scripts/test.sh -k geometry
set -euo pipefail
. "$(dirname "$0")/environment.sh"
install test
ruff check .
ruff format --check .
python -m pytest "$@"
