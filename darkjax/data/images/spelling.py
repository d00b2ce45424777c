"""Ways to write the name of an image file, and their common forms."""

import os
import unicodedata
import urllib.parse

# Of files that `photo.read` reads; .heic and .heif by an extra.
PHOTO_SUFFIXES = (
  ".jpg", ".jpeg", ".jfif", ".jpe", ".png", ".apng", ".bmp", ".webp", ".tif",
  ".tiff", ".gif", ".avif", ".heic", ".heif",
)  # fmt: skip


def with_slashes(name: str) -> str:
  """Returns a path with / for Windows' separators, and without ./ and //."""
  parts = name.replace("\\", "/").split("/")
  kept = [part for part in parts[1:] if part not in ("", ".")]
  first = [] if parts[0] == "." else parts[:1]
  return "/".join(first + kept)


def decode(name: str) -> str:
  """Returns a name, of a URL the path, percent-decoded and with slashes."""
  if "?d=" in name:  # Label Studio: /data/local-files/?d=photos/1.jpg
    name = name.partition("?d=")[2].partition("&")[0]
  elif "://" in name:
    try:
      name = urllib.parse.urlsplit(name).path
    except ValueError:  # no URL after all
      pass
  return with_slashes(urllib.parse.unquote(name))


def compose(name: str) -> str:
  """Returns a decoded name with é as one character."""
  return unicodedata.normalize("NFC", decode(name))


def casefold(name: str) -> str:
  """Returns a composed name in lower case."""
  return compose(name).casefold()


def normal_forms(name: str) -> tuple[str, str]:
  """Returns a name in both normal forms of Unicode; macOS had the second."""
  return unicodedata.normalize("NFC", name), unicodedata.normalize("NFD", name)


def base(name: str) -> str:
  """Returns a name, with slashes, without folders."""
  return name.rpartition("/")[2]


def has_suffix(name: str) -> bool:
  """Returns whether a name ends as a photograph's."""
  return os.path.splitext(name)[1].lower() in PHOTO_SUFFIXES


def stem(name: str) -> str:
  """Returns a name without folders and a photograph's suffix, in lower case."""
  file = base(casefold(name))
  return os.path.splitext(file)[0] if has_suffix(file) else file


def number(stem: str) -> str:
  """Returns a number without leading zeros; "" for other names."""
  return stem.lstrip("0") or "0" if stem.isdecimal() else ""
