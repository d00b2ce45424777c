"""Files of a run: digests, locks, and disks that are full or read-only."""

import contextlib
import errno
import hashlib
import os
import pathlib
import shutil
import tempfile
from collections.abc import Iterator

import filelock
import platformdirs

_FULL = (errno.ENOSPC, errno.EDQUOT)  # the disk, the user's quota


def cache_directory() -> pathlib.Path:
  """Returns `DARKJAX_CACHE`, else the platform's cache folder of darkjax."""
  folder = os.environ.get("DARKJAX_CACHE")
  return pathlib.Path(folder or platformdirs.user_cache_path("darkjax"))


def digest(path: pathlib.Path) -> str:
  """Returns the SHA-256 of a file's content, hexadecimal."""
  with path.open("rb") as file:
    return hashlib.file_digest(file, "sha256").hexdigest()


def check_labels(annotations: pathlib.Path, digest_before: str) -> None:
  """Refuses a json whose `digest` changed since a run began.

  Raises:
    ValueError: it was edited or is gone.
  """
  if not annotations.is_file() or digest(annotations) != digest_before:
    raise ValueError(
      f"{annotations} was edited or removed since this run began; metrics "
      "would compare with other labels than were read. Put the file back, or "
      "start again, which prepares the new one"
    )


@contextlib.contextmanager
def locked(path: pathlib.Path) -> Iterator[None]:
  """Holds a lock file, so that one process at a time enters."""
  path.parent.mkdir(parents=True, exist_ok=True)
  with filelock.FileLock(path):
    yield


def check_writable(path: str | os.PathLike[str]) -> None:
  """Creates the folder of a file to be written, and tries to write there.

  Raises:
    OSError: the path is a folder, or a file cannot be made beside it.
  """
  path = pathlib.Path(path)
  if path.is_dir():
    raise IsADirectoryError(errno.EISDIR, "a folder, not a file", str(path))
  path.parent.mkdir(parents=True, exist_ok=True)
  with tempfile.TemporaryFile(dir=path.parent):
    pass


def check_not_read(
  out: str | os.PathLike[str], *sources: str | os.PathLike[str]
) -> None:
  """Raises a ValueError if a file to be written is one that is read."""
  path = pathlib.Path(out).resolve()
  if path in (pathlib.Path(source).resolve() for source in sources):
    raise ValueError(
      f"{out} is a file to read and would be replaced; name another to write"
    )


def write_whole(path: pathlib.Path, data: bytes) -> None:
  """Writes a file by way of PATH.part, so that it is complete or as before."""
  path.parent.mkdir(parents=True, exist_ok=True)
  part = path.with_name(f"{path.name}.part")
  try:
    part.write_bytes(data)
    part.replace(path)
  finally:
    part.unlink(missing_ok=True)


@contextlib.contextmanager
def explain_full_disk(folder: str | pathlib.Path) -> Iterator[None]:
  """Names the disk in the error of a write into a folder that found it full.

  Raises:
    OSError: the disk or the quota is full; ENOSPC.
  """
  try:
    yield
  except Exception as error:
    if not _of_full_disk(error):
      raise
    path = pathlib.Path(folder).resolve()
    disk = next(p for p in (path, *path.parents) if os.path.ismount(p))
    raise OSError(
      errno.ENOSPC,
      f"the disk {disk} is full ({shutil.disk_usage(disk).free / 2**20:.0f} "
      f"MiB free) while writing {folder}; what was complete before is intact: "
      "make space and start again",
    ) from error


def _of_full_disk(error: BaseException | None) -> bool:
  """Whether an error or one of its causes says so, in any library's way."""
  if error is None:
    return False
  return (
    getattr(error, "errno", None) in _FULL
    or any(os.strerror(number) in str(error) for number in _FULL)
    or _of_full_disk(error.__cause__ or error.__context__)
  )
