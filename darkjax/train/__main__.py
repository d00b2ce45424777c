"""Training: `python -m darkjax.train --config=configs/quickstart.py`.

A run lives in `--workdir`: checkpoints/, metrics.jsonl, TensorBoard events and
config.json. Started again with the same folder it continues where it stopped.
"""

from darkjax.runtime import command, distributed, preemption, startup


def main(flags: command.Flags, arguments) -> None:
  """Trains what `--config` describes."""
  command.refuse_arguments(arguments)
  from darkjax.train import loop  # TensorBoard, of the extra `train`

  startup.start()
  distributed.start(flags)
  with distributed.failing_together(), preemption.Stop().listening() as stop:
    loop.train(flags.config, flags.workdir, profile=flags.profile, stop=stop)


def define_flags(define: command.Define) -> None:
  """Adds the flags of `main`."""
  define.config(
    "config",
    None,
    "A name such as quickstart or the path of a file like it, with :biased for "
    "its biased variant; --config.FIELD=VALUE sets a field.",
  )
  define.string("workdir", None, "Folder of the run, new or to be continued.")
  define.bool(
    "profile", False, "Write a profile of a few steps into the workdir."
  )
  distributed.define_flags(define)
  define.required(["config", "workdir"])


if __name__ == "__main__":
  command.run(main, define_flags)
