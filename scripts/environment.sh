# Sourced by the other scripts: an environment with darkjax and its tools.
#
# An active virtual environment is used as it is; otherwise .venv is made. What
# pyproject.toml names is installed again only after it changed, by uv where
# there is one that can, which takes a third of pip's time.

cd "$(dirname "${BASH_SOURCE[0]}")/.."

if [ -z "${VIRTUAL_ENV:-}" ]; then
  venv="${venv:-.venv}"
  if [ ! -x "$venv/bin/python" ]; then
    echo "making a virtual environment in $venv"
    python3 -m venv "$venv" || {
      echo "python3 -m venv failed; on Debian: apt-get install python3-venv" >&2
      exit 1
    }
  fi
  # shellcheck disable=SC1091
  . "$venv/bin/activate"
fi

# install EXTRAS [OPTIONS]: darkjax in place with these extras; options of pip.
install() {
  local stamp="$VIRTUAL_ENV/.darkjax-$1"
  if [ ! -e "$stamp" ] || [ pyproject.toml -nt "$stamp" ]; then
    echo "installing darkjax with $1 and its dependencies"
    command -v uv >/dev/null && uv pip install --quiet "${@:2}" -e ".[$1]" ||
      python -m pip install --quiet --disable-pip-version-check --no-compile \
        "${@:2}" -e ".[$1]"
    # On all cores, which pip does on one; what does not compile is not needed.
    python -m compileall -qq -j 0 "$VIRTUAL_ENV/lib" || true
    touch "$stamp"
  fi
}
