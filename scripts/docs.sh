#!/usr/bin/env bash
# Builds the site of docs/ with the API reference into build/docs; warnings are
# errors. Arguments go to sphinx-build.
set -euo pipefail
. "$(dirname "$0")/environment.sh"
install docs
python -m sphinx -W --keep-going -b html "$@" docs build/docs
echo "the front page: build/docs/index.html"
