"""Prints size and cost of every model: python -m darkjax.models."""

from darkjax.models import cost

if __name__ == "__main__":
  print(cost.table())
