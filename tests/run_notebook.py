"""Runs a notebook's code cells in order: python tests/run_notebook.py FILE.

As a kernel would, in one namespace and from the notebook's folder, and showing
the last expression of a cell: pictures are encoded, other values printed. The
line that installs the package is left out; other magics are syntax errors.
"""

import ast
import json
import os
import pathlib
import sys

INSTALL = "%pip install"


def main(path: str) -> None:
  notebook = json.loads(pathlib.Path(path).read_text())
  os.chdir(pathlib.Path(path).resolve().parent)
  sys.path[0] = ""  # as in a kernel: wherever the notebook goes
  names = {"__name__": "__main__"}
  for n, cell in enumerate(notebook["cells"]):
    if cell["cell_type"] == "code":
      print(f"--- cell {n}", flush=True)
      run("".join(cell["source"]), names, f"<cell {n}>")


def run(source: str, names: dict, label: str) -> None:
  kept = [s for s in source.splitlines() if not s.startswith(INSTALL)]
  tree = ast.parse("\n".join(kept), label)
  last = tree.body[-1] if isinstance(tree.body[-1], ast.Expr) else None
  if last is not None:
    tree.body.pop()
  exec(compile(tree, label, "exec"), names)
  if last is not None:
    value = eval(compile(ast.Expression(last.value), label, "eval"), names)
    show(value)


def show(value) -> None:
  if hasattr(value, "_repr_png_"):
    print(f"a picture of {len(value._repr_png_())} bytes")
  elif value is not None:
    print(repr(value))


if __name__ == "__main__":
  main(sys.argv[1])
