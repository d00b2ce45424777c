"""A full disk, said by its name rather than in a library's words."""

import contextlib
import errno
import os
import pathlib
import shutil
from collections.abc import Iterator


@contextlib.contextmanager
def named_if_full(folder: str | pathlib.Path) -> Iterator[None]:
  """Names the disk where writing within fails for want of space.

  Args:
    folder: that is written to.

  Raises:
    OSError: the disk or the quota is full; ENOSPC.
  """
  try:
    yield
  except Exception as error:
    if not _of_full_disk(error):
      raise
    disk = _mount_point(pathlib.Path(folder).resolve())
    raise OSError(
      errno.ENOSPC,
      f"the disk {disk} is full ({shutil.disk_usage(disk).free / 2**20:.0f} "
      f"MiB free) while writing {folder}; what was complete before is intact: "
      "make space and start again",
    ) from error


def _of_full_disk(error: BaseException | None) -> bool:
  """Whether this or what it came from says so, in whatever library's way."""
  if error is None:
    return False
  number = getattr(error, "errno", None)
  return (
    number in (errno.ENOSPC, errno.EDQUOT)
    or any(os.strerror(n) in str(error) for n in (errno.ENOSPC, errno.EDQUOT))
    or _of_full_disk(error.__cause__ or error.__context__)
  )


def _mount_point(folder: pathlib.Path) -> pathlib.Path:
  """The disk that an absolute path, which may not exist yet, lies on."""
  return next(
    path for path in (folder, *folder.parents) if os.path.ismount(path)
  )
