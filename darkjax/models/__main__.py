"""Prints size and cost of every model: python -m darkjax.models."""

from darkjax.models import cost
from darkjax.runtime import command


def main(flags: command.Flags, arguments) -> None:
  """Prints the table."""
  del flags, arguments
  print(cost.table())


def define_flags(define: command.Define) -> None:
  """Adds no flags."""


if __name__ == "__main__":
  command.run(main, define_flags)
