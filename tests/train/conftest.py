"""Fixtures of the training tests."""

import numpy as np
import pytest
from small_network import make_batch


@pytest.fixture
def batch(rng) -> dict[str, np.ndarray]:
  """The batch of the small network."""
  return make_batch(rng)
