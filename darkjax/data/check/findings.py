"""Findings of a check: one for each rule that a data set breaks."""

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from darkjax.data.check.rules import NOTE, RULES, WARNING, Severity
from darkjax.data.people_table import People

# Odd labels are a note up to this share of the people (or keypoints, images).
FEW = 0.01


class Finding(NamedTuple):
  """One thing that is wrong or odd."""

  severity: Severity
  rule: str  # its name, for machines
  text: str  # what is wrong and what that does
  fix: str  # what to do about it
  # Of the annotations (or images, where the text says so) concerned.
  ids: tuple[int | str, ...] = ()


def finding(
  rule: str,
  ids: Iterable[int | str] = (),
  *,
  severity: Severity = WARNING,
  **fields: Any,
) -> Finding:
  """Returns the finding of a rule, its text filled in with the fields.

  The field `count` is the number of ids. The severity given counts where the
  rule has none.
  """
  ids = tuple(ids)
  fields = {"count": len(ids), **fields}
  fixed, *texts = RULES[rule]
  text, fix = (text.format(**fields) for text in texts)
  return Finding(fixed or severity, rule, text, fix, ids)


def by_share(count: int, total: int, few: float = FEW) -> Severity:
  """Returns `NOTE` for up to a few of the total, `WARNING` for more."""
  return NOTE if count <= few * total else WARNING


def share(count: int, total: int) -> str:
  """Returns such as "3 of 200 (1.5 %)"."""
  return f"{count} of {total} ({100 * count / max(total, 1):.3g} %)"


def about_people(
  rule: str, people: People, wrong: ArrayLike, **options: Any
) -> Iterator[Finding]:
  """Yields one finding about the people of a mask [N], none if it is empty.

  Options are those of `finding`; its field `share` and, where the rule leaves
  it open, the severity follow from how many of the people are wrong.
  """
  ids = people.annotation_id[np.asarray(wrong)].tolist()
  count, total = len(ids), len(people)
  if count:
    own = {"share": share(count, total), "severity": by_share(count, total)}
    yield finding(rule, ids, **own | options)
