"""A file's content in 64 digits, to notice when it is another."""

import hashlib
import pathlib


def digest(path: pathlib.Path) -> str:
  """SHA-256 of a file's content, hexadecimal."""
  with path.open("rb") as file:
    return hashlib.file_digest(file, "sha256").hexdigest()


def check_labels(annotations: pathlib.Path, known: str) -> None:
  """Refuses to go on with a json that is not the one a run began with.

  Args:
    annotations: the json; metrics read it.
    known: its `digest` when the run began.

  Raises:
    ValueError: it was edited or is gone.
  """
  if not annotations.is_file() or digest(annotations) != known:
    raise ValueError(
      f"{annotations} was edited or removed since this run began; metrics "
      "would compare with other labels than were read. Put the file back, or "
      "start again, which prepares the new one"
    )
