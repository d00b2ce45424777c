"""The oldest dependencies that are tested are the oldest that are allowed."""

import re
import tomllib

from paths import ROOT


def versions(lines, separator) -> dict[str, tuple[int, ...]]:
  """Version by name; 0.10 and 0.10.0 are the same."""
  found = {}
  for line in lines:
    pattern = rf"([\w-]+)(?:\[\w+\])?{separator}([\d.]+)"
    name, version = re.fullmatch(pattern, line).groups()
    numbers = [int(part) for part in version.split(".")]
    while numbers[-1] == 0:
      numbers.pop()
    found[name] = tuple(numbers)
  return found


def with_extras(extras: dict[str, list[str]], name: str) -> list[str]:
  """The requirements of an extra and of those that it includes."""
  requirements = []
  for requirement in extras[name]:
    included = re.fullmatch(r"darkjax\[([\w,]+)\]", requirement)
    if included:
      for other in included[1].split(","):
        requirements += with_extras(extras, other)
    else:
      requirements.append(requirement)
  return requirements


def test_the_constraints_are_the_lower_bounds():
  project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
  allowed = project["dependencies"] + with_extras(
    project["optional-dependencies"], "test"
  )
  lines = (ROOT / "scripts" / "oldest.txt").read_text().splitlines()
  tested = versions([n for n in lines if not n.startswith("#")], "==")
  assert tested.pop("jaxlib") == tested["jax"]
  tested.pop("pyparsing")  # no dependency of ours, see oldest.txt
  # Without what says on which machines.
  assert tested == versions([n.split(";")[0] for n in allowed], ">=")


def test_the_tests_that_it_runs_exist():
  script = (ROOT / "scripts" / "test_oldest.sh").read_text()
  named = re.findall(r"^  (tests\S+)$", script, re.M)
  assert named
  for path, _, test in (name.partition("::") for name in named):
    assert (ROOT / path).exists(), path
    assert not test or f"def {test}(" in (ROOT / path).read_text()
