"""One process at a time, for what is prepared on disk."""

import contextlib
import fcntl
import pathlib
from collections.abc import Iterator


@contextlib.contextmanager
def locked(path: pathlib.Path) -> Iterator[None]:
  """Lets one process at a time prepare; the others then find it done."""
  path.parent.mkdir(parents=True, exist_ok=True)
  with path.open("w") as file:
    fcntl.flock(file, fcntl.LOCK_EX)
    yield
