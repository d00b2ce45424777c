"""Imported by scripts that take --config: files of configs/ import each other.

`python -m` looks for them in the folder it is called from, a script does not.
"""

import pathlib
import sys

sys.path.append(str(pathlib.Path(__file__).resolve().parents[1]))
