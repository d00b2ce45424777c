"""Every command by its name: `darkjax train`, `python -m darkjax train`.

`darkjax NAME` does what `python -m darkjax.NAME` does.
"""

import sys

from darkjax.runtime import command

# Each command's module, imported when it is asked for.
COMMANDS = {
  "train": "darkjax.train.__main__",
  "evaluate": "darkjax.evaluate.__main__",
  "predict": "darkjax.predict.__main__",
  "export": "darkjax.export.__main__",
  "release": "darkjax.release",
  "models": "darkjax.models.__main__",
  "models.weights": "darkjax.checkpoint.import_torch",
  "data.check": "darkjax.data.check.__main__",
  "data.pack": "darkjax.data.pack.__main__",
  "data.synthetic": "darkjax.data.synthetic.__main__",
  "data.mpii": "darkjax.data.mpii.__main__",
  "data.whole_body": "darkjax.data.whole_body",
}


def main() -> None:
  """Runs the command that the first argument names."""
  name = sys.argv[1] if len(sys.argv) > 1 else "--help"
  if name in ("--help", "-h"):
    print(f"{__doc__}\nNames: {', '.join(COMMANDS)}; NAME --help tells more.")
    sys.exit(0)
  if name not in COMMANDS:
    print(
      f"error: unknown command {name!r}; known: {', '.join(COMMANDS)}",
      file=sys.stderr,
    )
    sys.exit(command.USER_ERROR)
  command.run_module(COMMANDS[name], [f"darkjax {name}", *sys.argv[2:]])


if __name__ == "__main__":
  main()
