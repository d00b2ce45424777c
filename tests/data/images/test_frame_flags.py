"""The flags that say which frame labels or boxes are of."""

import pytest

from darkjax.data.images import frame_flags
from darkjax.runtime import command


@pytest.mark.parametrize(
  ("given", "upright"),
  [([], None), (["--upright"], True), (["--stored"], False)],
)
def test_the_frame_is_one_of_two_or_not_said(given, upright):
  def define_flags(define):
    frame_flags.define(define, "as in training")

  flags, _ = command.parse(define_flags, ["program", *given])
  assert frame_flags.read(flags) is upright


def test_both_are_refused():
  flags, _ = command.parse(
    lambda define: frame_flags.define(define, "none"),
    ["program", "--upright", "--stored"],
  )
  with pytest.raises(ValueError, match="--upright or --stored, not both"):
    frame_flags.read(flags)
