"""Findings of a check: one for each rule that a data set breaks."""

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from darkjax.data.check.rules import NOTE, RULES, WARNING, Severity
from darkjax.data.people_table import People


class Finding(NamedTuple):
  """One thing that is wrong or odd."""

  severity: Severity
  rule: str  # its name, for machines
  text: str  # what is wrong and what that does
  fix: str  # what to do about it
  # Of the annotations, or of what the text is about.
  ids: tuple[int | str, ...] = ()


def finding(
  rule: str,
  ids: Iterable[int | str] = (),
  *,
  part: tuple[int, int] = (1, 1),
  few: float = 0.01,
  severity: Severity | None = None,
  **fields: Any,
) -> Finding:
  """Returns the finding of a rule, its text filled in with the fields.

  The field `count` is the number of ids, `share` shows the part (count, total).
  Where neither the rule nor the caller sets the severity, a part of at most
  `few` gives a note, a larger one a warning.
  """
  ids = tuple(ids)
  count, total = part
  percent = 100 * count / max(total, 1)
  fields = {"share": f"{count} of {total} ({percent:.3g} %)"} | fields
  fields = {"count": len(ids)} | fields
  by_share = NOTE if count <= few * total else WARNING
  fixed, text, fix = RULES[rule]
  return Finding(
    fixed or severity or by_share,
    rule,
    text.format(**fields),
    fix.format(**fields),
    ids,
  )


def about_people(
  rule: str,
  people: People,
  wrong: ArrayLike,
  total: int | None = None,
  **options: Any,
) -> Iterator[Finding]:
  """Yields one finding about the people of a mask, none if it is empty.

  The mask is of people [N] or of their keypoints [N, K], of which `total` could
  have been wrong. Options are those of `finding`.
  """
  wrong = np.asarray(wrong)
  concerned = wrong.any(axis=tuple(range(1, wrong.ndim)))
  if concerned.any():
    part = (int(wrong.sum()), wrong.size if total is None else total)
    ids = people.annotation_id[concerned].tolist()
    yield finding(rule, ids, part=part, **options)
