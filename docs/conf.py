"""Sphinx configuration: the pages of docs/ and the API from the docstrings.

bash scripts/docs.sh builds the site; warnings are errors.
"""

import importlib.metadata
import pathlib
import posixpath
import re

project = "darkjax"
author = "the darkjax authors"
copyright = author
try:
  release = importlib.metadata.version("darkjax")
except importlib.metadata.PackageNotFoundError:  # a checkout on PYTHONPATH
  release = ""

extensions = [
  "myst_parser",
  "sphinx.ext.autodoc",
  "sphinx.ext.mathjax",
  "sphinx.ext.napoleon",
  "sphinx.ext.viewcode",
]
html_theme = "furo"
html_title = "darkjax"
html_theme_options = {"sidebar_hide_name": False}
templates_path = []
exclude_patterns = ["photographs/README.md"]

myst_enable_extensions = ["dollarmath", "html_image"]
myst_heading_anchors = 4
suppress_warnings = [
  "myst.header",  # pages start their generated tables at the fourth level
]

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_default_options = {"members": True, "show-inheritance": False}
# Names are shown as they are written, not as objects of other packages.
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 80
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True
napoleon_use_rtype = False
# In the code's docstrings a single backquote marks code.
default_role = "code"

ROOT = pathlib.Path(__file__).resolve().parents[1]
# Pages that are files of the repository, which lie outside docs/.
FILES = {
  "index": "README.md",
  "contributing": "CONTRIBUTING.md",
  "changelog": "CHANGELOG.md",
  "weights": "darkjax/assets/README.md",
}


def read_page(app, docname, source):
  """Puts files of the repository in their places, and links to them right."""
  folder = "docs/" + posixpath.dirname(docname)
  if docname in FILES:
    file = FILES[docname]
    app.env.note_dependency(str(ROOT / file))
    folder = posixpath.dirname(file)
    toctree = source[0] if docname == "index" else ""
    source[0] = f"{(ROOT / file).read_text()}\n{toctree}"

  def relink(link):
    text, target, anchor = link[1], link[2], link[3] or ""
    if ":" in target:
      return link[0]
    path = posixpath.normpath(posixpath.join(folder, target))
    pages = {file: page for page, file in FILES.items()}
    if path in pages:
      path = f"docs/{pages[path]}.md"
    if not path.startswith("docs/"):
      kept = path.endswith(".ipynb")  # offered as a download
      if not kept:
        return text.strip("[]")
    start = posixpath.join("docs", posixpath.dirname(docname))
    return f"{text}({posixpath.relpath(path, start)}{anchor})"

  source[0] = re.sub(r"(\[[^]]*\])\(([^)#\s]+)(#[^)\s]*)?\)", relink, source[0])


def prepare_docstring(app, what, name, obj, options, lines):
  """Makes docstrings reStructuredText, before napoleon reads them.

  |x| of formulas is no substitution, and "Attributes, besides those of X:" is
  a section.
  """
  for i, line in enumerate(lines):
    parts = re.split("(`[^`]*`)", line)
    parts[::2] = [part.replace("|", r"\|") for part in parts[::2]]
    lines[i] = "".join(parts)
    section = re.fullmatch(r"Attributes, (besides .*):", line)
    if section:
      lines[i] = f"Fields, {section[1]}:\n\nAttributes:"
  lines[:] = "\n".join(lines).split("\n")


def setup(app):
  app.connect("source-read", read_page)
  app.connect("autodoc-process-docstring", prepare_docstring, priority=400)
