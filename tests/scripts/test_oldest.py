"""The oldest dependencies that are tested are the oldest that are allowed."""

import re
import tomllib

from paths import ROOT


def versions(lines, separator) -> dict[str, tuple[int, ...]]:
  """Version by name; 0.10 and 0.10.0 are the same."""
  found = {}
  for line in lines:
    name, version = re.fullmatch(rf"([\w-]+){separator}([\d.]+)", line).groups()
    numbers = [int(part) for part in version.split(".")]
    while numbers[-1] == 0:
      numbers.pop()
    found[name] = tuple(numbers)
  return found


def test_the_constraints_are_the_lower_bounds():
  project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
  allowed = project["dependencies"] + project["optional-dependencies"]["test"]
  lines = (ROOT / "scripts" / "oldest.txt").read_text().splitlines()
  tested = versions([n for n in lines if not n.startswith("#")], "==")
  assert tested.pop("jaxlib") == tested["jax"]
  tested.pop("pyparsing")  # no dependency of ours, see oldest.txt
  # Without what says on which machines.
  assert tested == versions([n.split(";")[0] for n in allowed], ">=")
