"""Parts of stages: what is begun, skipped or left out as a whole."""

import json
import pathlib
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

Line = dict[str, Any]


class Cell(NamedTuple):
  """One measurement; `run` yields lines, `seconds` is about what it takes."""

  name: str  # begins with the stage's letter and a slash
  run: Callable[[], Iterable[Line]]
  seconds: float
  adapts: bool = False  # to the time that is left: `seconds` are the fewest


class Budget:
  """Seconds that are left of a program's time."""

  def __init__(self, seconds: float):
    self._end = time.monotonic() + seconds

  def left(self) -> float:
    """Returns the seconds until the time is up."""
    return self._end - time.monotonic()


class Journal:
  """Lines of json on the screen and in a file, written at once.

  A cell ends with a line that has `spent_s` and, where it failed, `error`.
  """

  def __init__(self, path: str | None, origin: Line):
    """`origin` (card and commit) is in every line."""
    self._path = pathlib.Path(path) if path else None
    self._origin = origin

  def write(self, cell: str, **line: Any) -> None:
    """Writes a line."""
    text = json.dumps({"cell": cell} | line | self._origin)
    print(text, flush=True)
    if self._path:
      with self._path.open("a") as file:
        file.write(text + "\n")

  def done(self) -> set[str]:
    """Returns the names of cells that ended well on this card and commit."""
    if self._path is None or not self._path.exists():
      return set()
    lines = map(json.loads, self._path.read_text().splitlines())
    return {
      line["cell"]
      for line in lines
      if "spent_s" in line
      and "error" not in line
      and self._origin.items() <= line.items()
    }


def run_all(cells: Iterable[Cell], journal: Journal, budget: Budget) -> None:
  """Runs cells in order; what fails is written, and the next is run.

  A cell is expected to last what it says times the most by which one before it
  in its stage was off; one that would not end in time is not begun.
  """
  factors: dict[str, float] = {}
  for cell in cells:
    stage = cell.name.split("/")[0]
    expected = cell.seconds * factors.get(stage, 1.0)
    if expected > budget.left():
      journal.write(
        cell.name,
        not_begun=f"needs {expected:.0f} s, {budget.left():.0f} s are left",
      )
      continue
    start, failed = time.monotonic(), {}
    try:
      for line in cell.run():
        journal.write(cell.name, **line)
    except Exception as error:  # whatever it is, the next cell may work
      traceback.print_exc()
      failed = {"error": f"{type(error).__name__}: {error}"[:500]}
    spent = time.monotonic() - start
    if not cell.adapts:
      factors[stage] = max(factors.get(stage, 0.0), spent / cell.seconds)
    journal.write(cell.name, spent_s=round(spent, 1), **failed)


def without(cells: Iterable[Cell], names: set[str]) -> Iterator[Cell]:
  """Yields the cells that are not among the names."""
  return (cell for cell in cells if cell.name not in names)
