"""Packs data sets: `python -m darkjax.data.pack --config=CONFIG`.

Writes what a configuration trains and evaluates on as canvases (see layout.py)
into `config.data.pack`, a folder for each json. With `config.data.source` then
set to "resident", training keeps the canvases in the memory of the devices.
"""

from darkjax.runtime import command, startup


def main(flags: command.Flags, arguments) -> None:
  """Packs what `--config` trains and evaluates on."""
  command.refuse_arguments(arguments)
  startup.start()
  from darkjax.data.pack import build  # TensorFlow

  for made in build.pack_config(flags.config, resolution=flags.resolution):
    size = made.pages.nbytes / 1e9
    print(f"{len(made.people)} people, {size:.2f} GB: {made.folder}")


def define_flags(define: command.Define) -> None:
  """Adds the flags of `main`."""
  define.config("config", None, "A file of configs/.")
  define.float("resolution", 1.0, "Canvas px per crop px.")
  define.required(["config"])


if __name__ == "__main__":
  command.run(main, define_flags)
