"""Where compiled programs and prepared records are kept between runs."""

import os
import pathlib


def directory() -> pathlib.Path:
  """`DARKJAX_CACHE`, else `darkjax` in `XDG_CACHE_HOME` or in `~/.cache`."""
  root = os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache"
  return pathlib.Path(
    os.environ.get("DARKJAX_CACHE") or pathlib.Path(root) / "darkjax"
  )
