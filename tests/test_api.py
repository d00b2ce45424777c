"""The public names, and which room may import which."""

import ast
import importlib
import inspect
import pathlib
import pkgutil
import subprocess
import sys

import pytest

import darkjax

PACKAGE = pathlib.Path(darkjax.__file__).parent
MODULES = sorted(
  module.name
  for module in pkgutil.walk_packages([str(PACKAGE)], "darkjax.")
  if not module.name.endswith("__main__")
)
# Rooms from the bottom up; a module imports its own level and those below.
LEVELS = [
  {
    "cache",
    "compiler",
    "startup",
    "stopping",
    "disk",
    "distributed",
    "stages",
    "keypoint_names",
    "skeletons",
    "geometry",
    "convention",
    "image",
    "flat_gather",
    "weight_file",
    "metadata",
    "checksum",
    "validation",
  },
  {"heatmaps", "losses", "metrics", "models", "data", "optim", "checkpoint"},
  {"inference", "viz", "tiles", "figures", "boxes", "smoothing", "people"}
  | {"photographs"},
  {"step", "guards", "scoring", "results", "frames", "pose", "ensemble"}
  | {
    "graph",
    "simplify",
    "onnx_graph",
    "onnx_upsample",
    "backends",
    "warp",
    "placement",
    "devices",
  },
  {"curves", "trace", "overlays", "sidecar", "resume"},
  {
    "collect",
    "evaluate",
    "grid",
    "grid_report",
    "predict",
    "report",
    "sources",
    "tf_sources",
    "resident_sources",
    "export",
    "release",
  },
  {"train"},
]
# Rooms that work without these packages.
FORBIDDEN = {
  "data": {"jax", "flax"},
  "metrics": {"jax", "flax", "tensorflow"},
  "heatmaps": {"tensorflow"},
  "losses": {"tensorflow"},
  "models": {"tensorflow"},
}


def room(module: str) -> str:
  return module.split(".")[1]


def level(name: str) -> int:
  return next(i for i, rooms in enumerate(LEVELS) if name in rooms)


def imported(module: str) -> set[str]:
  """Every module that a file names in an import, at any depth of it."""
  path = importlib.util.find_spec(module).origin
  names = set()
  for node in ast.walk(ast.parse(pathlib.Path(path).read_text())):
    if isinstance(node, ast.Import):
      names |= {alias.name for alias in node.names}
    elif isinstance(node, ast.ImportFrom):
      names |= {f"{node.module}.{alias.name}" for alias in node.names}
  return names


def test_every_room_has_a_level():
  assert {room(module) for module in MODULES} == set().union(*LEVELS)


@pytest.mark.parametrize("module", MODULES)
def test_imports_point_downwards(module):
  rooms = {room(n) for n in imported(module) if n.startswith("darkjax.")}
  upwards = {r for r in rooms if level(r) > level(room(module))}
  assert not upwards, f"{module} imports {upwards}"


@pytest.mark.parametrize("module", MODULES)
def test_rooms_do_without_what_they_must(module):
  packages = {name.split(".")[0] for name in imported(module)}
  assert not packages & FORBIDDEN.get(room(module), set())


def test_only_data_and_export_name_tensorflow():
  naming = {
    room(module)
    for module in MODULES
    if any(name.split(".")[0] == "tensorflow" for name in imported(module))
  }
  assert naming == {"data", "export"}


def test_importing_the_package_loads_nothing_heavy():
  code = (
    "import sys, darkjax; "
    "print({'jax', 'tensorflow', 'torch'} & set(sys.modules))"
  )
  out = subprocess.check_output([sys.executable, "-c", code], text=True)
  assert out.strip() == "set()"


@pytest.mark.parametrize("name", darkjax.__all__)
def test_public_names_are_there_and_documented(name):
  found = getattr(darkjax, name)
  assert inspect.getdoc(found)
  assert name in dir(darkjax)


def test_unknown_names_are_attribute_errors():
  with pytest.raises(AttributeError, match="no attribute 'nope'"):
    _ = darkjax.nope


@pytest.mark.parametrize("name", ["render_heatmaps", "decode_heatmaps"])
def test_options_of_functions_are_keyword_only(name):
  first, *rest = inspect.signature(getattr(darkjax, name)).parameters.values()
  assert first.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD
  assert {p.kind for p in rest} == {inspect.Parameter.KEYWORD_ONLY}
