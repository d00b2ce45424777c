"""The public names, and which room may import which."""

import ast
import collections
import importlib
import inspect
import pathlib
import subprocess
import sys

import pytest

import darkjax

PACKAGE = pathlib.Path(darkjax.__file__).parent
# Rooms in the order of imports: a module imports its own level and those before
# it. Commands (`__main__`) are imported by darkjax/__main__.py alone, by name.
ORDER = (
  {"runtime", "geometry", "skeletons"},
  {"heatmaps"},
  {"convention", "losses", "metrics", "models"},
  {"data"},
  {"checkpoint"},
  {"viz"},
  {"inference"},
  {"convert", "export", "evaluate", "predict", "release"},
  {"train"},
  {"browse", "demo"},
)
# Rooms that work without these packages.
FORBIDDEN = {
  "convert": {"jax", "flax", "tensorflow"},
  "data": {"jax", "flax"},
  "metrics": {"jax", "flax", "tensorflow"},
  "heatmaps": {"tensorflow"},
  "losses": {"tensorflow"},
  "models": {"tensorflow"},
}
MOST_FILES, MOST_LINES = 14, 300


def read_modules() -> dict[str, str]:
  """The source of every module of the package, by its dotted name."""
  sources = {}
  for path in PACKAGE.rglob("*.py"):
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    name = ".".join(parts).removesuffix(".__init__")
    sources[name] = path.read_text()
  return sources


MODULES = read_modules()


def imported(source: str) -> set[str]:
  """Every module that a file names in an import, at any depth of it."""
  names = set()
  for node in ast.walk(ast.parse(source)):
    if isinstance(node, ast.Import):
      names |= {alias.name for alias in node.names}
    elif isinstance(node, ast.ImportFrom):
      names |= {f"{node.module}.{alias.name}" for alias in node.names}
  return names


def graph(sources: dict[str, str]) -> dict[str, set[str]]:
  """The modules of the package that each of them imports."""

  def module_of(name: str) -> str:
    return name if name in sources else name.rpartition(".")[0]

  return {
    module: {module_of(n) for n in imported(source) if n.startswith("darkjax")}
    & set(sources) - {"darkjax"}
    for module, source in sources.items()
  }


def upward_imports(sources: dict[str, str]) -> list[str]:
  """Imports against the order, and those of commands."""

  def level(module: str) -> int:
    return next(i for i, r in enumerate(ORDER) if module.split(".")[1] in r)

  return [
    f"{module} imports {other}"
    for module, others in graph(sources).items()
    if module not in ("darkjax", "darkjax.__main__")
    for other in others
    if level(other) > level(module) or other.endswith("__main__")
  ]


def circles(sources: dict[str, str]) -> set[str]:
  """Modules that import themselves by way of others."""
  reached = graph(sources)
  for through in sources:
    for module in sources:
      if through in reached[module]:
        reached[module] = reached[module] | reached[through]
  return {module for module in sources if module in reached[module]}


def test_every_room_has_its_place_in_the_order():
  rooms = {name.split(".")[1] for name in MODULES if "." in name}
  assert rooms - {"__main__"} == set().union(*ORDER)


def test_imports_follow_the_order():
  assert upward_imports(MODULES) == []
  planted = {"darkjax.models.layers": "from darkjax.train import loop"}
  assert upward_imports(MODULES | planted) == [
    "darkjax.models.layers imports darkjax.train.loop"
  ]


def test_no_module_imports_itself_through_others():
  assert circles(MODULES) == set()
  planted = (
    MODULES["darkjax.heatmaps.blur"] + "\nimport darkjax.heatmaps.decode"
  )
  assert "darkjax.heatmaps.blur" in circles(
    MODULES | {"darkjax.heatmaps.blur": planted}
  )


def test_rooms_do_without_what_they_must():
  for module, source in MODULES.items():
    packages = {name.split(".")[0] for name in imported(source)}
    forbidden = FORBIDDEN.get((module + ".").split(".")[1], set())
    assert not packages & forbidden, module


def test_only_data_and_export_name_tensorflow():
  naming = {
    module.split(".")[1]
    for module, source in MODULES.items()
    if any(name.split(".")[0] == "tensorflow" for name in imported(source))
  }
  assert naming == {"data", "export"}


def test_folders_and_files_are_small():
  paths = list(PACKAGE.rglob("*.py"))
  folders = collections.Counter(path.parent for path in paths)
  assert max(folders.values()) <= MOST_FILES
  long = [p for p in paths if p.read_text().count("\n") > MOST_LINES]
  assert not long


def test_importing_the_package_loads_nothing_heavy():
  code = (
    "import sys, darkjax; "
    "print({'jax', 'tensorflow', 'torch'} & set(sys.modules))"
  )
  out = subprocess.check_output([sys.executable, "-c", code], text=True)
  assert out.strip() == "set()"


def test_public_names_are_there_and_documented():
  for name in darkjax.__all__:
    assert inspect.getdoc(getattr(darkjax, name))
    assert name in dir(darkjax)


def test_editors_see_the_public_names():
  """The imports for type checkers are those of the first use."""
  names = {n for n in imported(MODULES["darkjax"]) if n.startswith("darkjax.")}
  modules = darkjax._MODULES
  assert names == {f"{module}.{name}" for name, module in modules.items()}
  assert set(darkjax.__all__) == set(modules)


def test_unknown_names_are_attribute_errors():
  with pytest.raises(AttributeError, match="no attribute 'nope'"):
    _ = darkjax.nope


@pytest.mark.parametrize("name", ["render_heatmaps", "decode_heatmaps"])
def test_options_of_functions_are_keyword_only(name):
  first, *rest = inspect.signature(getattr(darkjax, name)).parameters.values()
  assert first.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD
  assert {p.kind for p in rest} == {inspect.Parameter.KEYWORD_ONLY}


def test_every_command_can_be_called_by_its_name():
  from darkjax.__main__ import COMMANDS

  for name, module in COMMANDS.items():
    found = importlib.import_module(module)
    assert callable(found.main), name
    assert callable(found.define_flags), name


def test_data_and_metrics_load_no_jax():
  modules = (
    "darkjax.convention, darkjax.convert.recognise, "
    "darkjax.data.check.report, darkjax.data.from_config, "
    "darkjax.data.pack.batches, darkjax.metrics.coco, darkjax.skeletons"
  )
  code = f"import sys, {modules}; print('jax' in sys.modules)"
  out = subprocess.check_output([sys.executable, "-c", code], text=True)
  assert out.strip() == "False"
