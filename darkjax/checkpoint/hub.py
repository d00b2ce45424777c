"""Releases by name, from a folder or from the Hugging Face hub.

The extra `hub` brings huggingface_hub, whose cache and environment variables
(`HF_HOME`, `HF_HUB_CACHE`, `HF_HUB_OFFLINE`, `HF_TOKEN`) hold here.
"""

import pathlib
import re
from typing import Any

from darkjax.checkpoint.release_folder import CONFIG, WEIGHTS
from darkjax.runtime import extras

_REPOSITORY = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*")


def find(name: str | pathlib.Path, revision: str | None = None) -> pathlib.Path:
  """Returns where weights lie on this machine, after a download if need be.

  Args:
    name: a folder or a file on this machine, or "user/repository" of the hub;
      what exists here comes first.
    revision: branch, tag or commit of the repository; by default its main
      branch.

  Raises:
    FileNotFoundError: no such folder, repository, revision or file.
    ImportError: the extra `hub` is not installed.
    RuntimeError: the hub refuses, or cannot be reached, and the file is not in
      the cache.
    ValueError: a revision of a folder.
  """
  path = pathlib.Path(name)
  if path.exists():
    if revision is not None:
      raise ValueError(
        f"{name} is here on the disk and has no revisions, got {revision!r}"
      )
    return path
  if not _REPOSITORY.fullmatch(str(name)):
    raise FileNotFoundError(
      f"no folder of weights {name}, and no repository of the hub has this "
      "form; expected a folder or 'user/repository'"
    )
  # The weights of the commit that the first file is of.
  where = f"{name} at {revision or 'main'}"
  folder = _download(str(name), CONFIG, revision, where).parent
  return _download(str(name), WEIGHTS, folder.name, where).parent


def _download(
  repository: str, file: str, revision: str | None, where: str
) -> pathlib.Path:
  """Returns the file in the cache; its folder is named after the commit."""
  hub = _import_hub(repository)
  try:
    return pathlib.Path(
      hub.hf_hub_download(repository, file, revision=revision)
    )
  except hub.errors.LocalEntryNotFoundError as error:
    cache = hub.constants.HF_HUB_CACHE
    reason = "the hub cannot be reached"
    if hub.constants.HF_HUB_OFFLINE:
      reason = "HF_HUB_OFFLINE forbids to download it"
    raise RuntimeError(
      f"{file} of {where} is not in the cache {cache}, and {reason}"
    ) from error
  except hub.errors.GatedRepoError as error:
    raise RuntimeError(
      f"{repository} is open to those who accept its terms: do so on its page, "
      "and log in (hf auth login)"
    ) from error
  except hub.errors.RepositoryNotFoundError as error:
    raise FileNotFoundError(
      f"no folder {repository} here, and no such repository on the hub, or a "
      "private one of others (hf auth login)"
    ) from error
  except hub.errors.RevisionNotFoundError as error:
    raise FileNotFoundError(
      f"{repository} has no revision {revision}; name a branch, tag or commit"
    ) from error
  except hub.errors.EntryNotFoundError as error:
    raise FileNotFoundError(
      f"{where} has no {file}: it is not a release of darkjax"
    ) from error
  except (hub.errors.HFValidationError, OSError) as error:
    reason = (str(error) or repr(error)).splitlines()[0]
    raise RuntimeError(f"{file} of {where}: {reason}") from error


def _import_hub(repository: str) -> Any:
  hub, *_ = (
    extras.load(
      f"huggingface_hub{module}",
      extra="hub",
      purpose=f"there is no folder {repository} here, and the hub",
    )
    for module in ("", ".constants", ".errors")
  )
  return hub
