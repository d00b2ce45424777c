"""Errors of commands in one line, their exit statuses, and their help."""

import os
import subprocess
import sys
from concurrent import futures

import commands
import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
import pytest
from paths import ROOT

from darkjax import __main__ as darkjax_main
from darkjax.runtime import command, distributed, errors, files
from darkjax.train import device_crop

CONFIGS = {
  "raises": 'def get_config():\n  raise ValueError("two\\nlines")',
  "name": "def get_config():\n  return nope",
  "syntax": "def get_config(:",
  "empty": "x = 1",
  "package": "import no_such_package",
  "none": "def get_config():\n  pass",
}


def one_line(finished: commands.Finished) -> str:
  """The message of a mistake, after checking that it is all there is."""
  assert finished.returncode == errors.USER_ERROR, finished
  assert finished.stdout == ""
  (line,) = finished.stderr.splitlines()
  assert line.startswith("error: ")
  return line.removeprefix("error: ")


def train(*arguments) -> str:
  return one_line(commands.run("train", *arguments))


@pytest.mark.parametrize(
  ("arguments", "expected"),
  [
    ((), "missing --config, --workdir; see --help"),
    (("--config=quickstart",), "missing --workdir; see --help"),
    (("--nope",), "Unknown command line flag 'nope'"),
    (("--num_processes=two",), "flag --num_processes=two: invalid literal"),
    (
      ("--config=no/file.py",),
      "no/file.py: No such file or directory",
    ),
    (("--config=configs",), "configs"),
    (("--config=",), "expected a path or a name, got an empty one"),
    (
      ("--config=nope",),
      "no configuration 'nope': expected the path of a file",
    ),
  ],
)
def test_wrong_flags(arguments, expected):
  assert expected in train(*arguments)


@pytest.mark.parametrize(
  ("override", "expected"),
  [
    ("nope=1", "unknown field in --config.FIELD: 'nope'"),
    ("train.epoch=1", '\'epoch\' Did you mean "epochs" instead of "epoch"?'),
    ("train.epochs.x=1", "unknown field in --config.FIELD: Attribute"),
    ("train.epochs=many", "flag --config.train.epochs=many: invalid literal"),
    ("train=1", "flag --config.train=1: Failed to parse '1' as a ConfigDict"),
    (
      "convention.crop_size=128x96",
      "convention.crop_size is a height and a width, as in (128, 96)",
    ),
    (
      "train.epochs=0",
      "these fields are at least 1, got {'train.epochs': 0}",
    ),
  ],
)
def test_wrong_fields_of_a_configuration(override, expected, tmp_path):
  arguments = ["--config=quickstart", f"--workdir={tmp_path}"]
  assert expected in train(*arguments, f"--config.{override}")


@pytest.mark.parametrize(
  ("name", "expected"),
  [
    ("raises", "ValueError, line 2: two lines"),
    ("name", "NameError, line 2: name 'nope' is not defined"),
    ("syntax", "SyntaxError: invalid syntax (syntax.py, line 1)"),
    ("empty", "'get_config'"),
    ("package", "ModuleNotFoundError, line 1: No module named"),
    ("none", "AttributeError: 'NoneType'"),
  ],
)
def test_configurations_that_cannot_be_read(name, expected, tmp_path):
  path = tmp_path / f"{name}.py"
  path.write_text(CONFIGS[name])
  message = train(f"--config={path}", f"--workdir={tmp_path}")
  assert message.startswith(f"flag --config={path}: ")
  assert expected in message


@pytest.mark.parametrize("word", ["false", "True", "no"])
def test_a_boolean_takes_no_value_after_a_space(word):
  done = commands.run("predict", "--flip-test", word, "a.jpg")
  assert done.returncode == 2
  assert done.stderr == (
    f"error: write --flip_test={word}, got --flip_test {word}\n"
  )
  camera = command.parse(
    lambda define: define.bool("smooth", False, ""), ["", "--smooth", "0"]
  )
  assert camera[1] == ["0"]


@pytest.mark.parametrize(
  ("name", "flags"),
  [
    ("release", ["--checkpoint=a", "--out=b"]),
    ("export", ["--checkpoint=a", "--out=b", "--format=onnx"]),
    ("browse", ["--config=quickstart"]),
    ("train", ["--config=quickstart", "--workdir=a"]),
    ("evaluate", ["--checkpoint=a"]),
    ("calibrate", ["--checkpoint=a", "--out=b"]),
    ("data.pack", ["--config=quickstart"]),
    ("data.mpii", ["--annotations=a", "--out=b"]),
    ("data.whole_body", ["--annotations=a", "--out=b"]),
  ],
)
def test_what_is_no_flag_is_not_passed_over(name, flags, tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  done = commands.run(name, *flags, "runs/w32")
  assert done.returncode == 2
  assert done.stderr == (
    "error: got runs/w32, which is no flag; write --FLAG=VALUE\n"
  )


def test_a_variant_and_hyphens_reach_the_command(tmp_path):
  path = tmp_path / "variants.py"
  path.write_text(
    "import ml_collections\n\ndef get_config(variant=''):\n"
    "  return ml_collections.ConfigDict({'variant': variant, 'count': 1})"
  )

  def parse(*arguments):
    return command.parse(
      lambda define: (
        define.config("config", None, ""),
        define.bool("flip_test", True, ""),
      ),
      ["program", *arguments],
    )

  flags, rest = parse(f"--config={path}:a", "--noflip-test", "x-y")
  assert (flags.config.variant, flags.flip_test) == ("a", False)
  assert rest == ["x-y"]
  flags, _ = parse(f"--config={path}", "--config.count=2")
  assert (flags.config.variant, flags.config.count) == ("", 2)
  with pytest.raises(AttributeError):
    flags.config.nope = 1  # locked


def test_files_that_are_not_there(tmp_path):
  missing = tmp_path / "weights"
  message = one_line(commands.run("evaluate", f"--checkpoint={missing}"))
  assert f"no checkpoint in {missing}" in message


def raised(function) -> Exception:
  """What a function raises."""
  try:
    function()
  except Exception as error:
    return error
  raise AssertionError(f"{function} raised nothing")


def test_mistakes_are_what_darkjax_raises_anywhere(tmp_path):
  def ours():
    distributed.split_training(ml_collections.ConfigDict({"batch_size": 0}))

  def in_a_thread():
    with futures.ThreadPoolExecutor() as pool:
      pool.submit(ours).result()

  def reraised():
    try:
      ours()
    except ValueError:
      raise

  def traced():
    jax.jit(lambda x: ours())(1.0)

  def with_a_cause():
    with files.explain_full_disk(tmp_path):
      raise OSError(28, "No space left on device")

  for function in (ours, in_a_thread, reraised, traced, with_a_cause):
    assert errors.is_user_error(raised(function)), function


def test_faults_are_what_libraries_raise():
  def in_numpy():
    np.zeros(3).reshape(2)

  def in_darkjax_but_not_by_raise():
    device_crop._look_up(None, 0, (1, 2, 3), 0, 0)

  def in_jax_through_darkjax():
    def cut(x):
      return device_crop._look_up(x, 0, (3, 3), x, x[:2])

    jax.jit(cut)(jnp.zeros(3))

  def of_another_type():
    raise TypeError("darkjax raises no such")

  for function in (
    in_numpy,
    in_darkjax_but_not_by_raise,
    in_jax_through_darkjax,
    of_another_type,
  ):
    assert not errors.is_user_error(raised(function)), function


def test_a_mistake_shows_its_traceback_if_asked(monkeypatch):
  monkeypatch.setenv("DARKJAX_TRACEBACK", "1")
  with pytest.raises(Exception, match="Unknown command line flag 'nope'"):
    commands.run("train", "--nope")


@pytest.mark.parametrize(
  ("error", "status", "expected"),
  [
    (KeyboardInterrupt(), 130, "interrupted\n"),
    (
      command.absl_flags.Error("one\ntwo"),
      2,
      "error in process 1 of 2: one two\n",
    ),
    (KeyError("fault"), 1, "process 1 of 2 ends by the error above"),
    (RuntimeError("Gloo: closed by peer"), 1, "another process is gone"),
  ],
)
def test_each_of_several_processes_says_why_it_ends(
  monkeypatch, capsys, error, status, expected
):
  def leave(status):
    raise SystemExit(status)

  monkeypatch.setattr(jax, "process_count", lambda: 2)
  monkeypatch.setattr(jax, "process_index", lambda: 1)
  monkeypatch.setattr(os, "_exit", leave)
  with pytest.raises(SystemExit) as end, distributed.failing_together():
    raise error
  assert end.value.code == status
  printed = capsys.readouterr().err
  if status == 1:
    assert "Traceback" in printed
    assert expected in printed
  else:
    assert printed == expected


PROGRAM = """
import os, signal, sys
from darkjax.runtime import command, files

def main(flags, arguments):
  if flags.end == "mistake":
    open(os.path.join("no", "file"))
  if flags.end == "fault":
    {}["fault"]
  if flags.end == "interrupt":
    # Shells ignore it for what they start in the background.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.raise_signal(signal.SIGINT)
  print("output\\n" * 100_000)
  return 7

command.run(main, lambda define: define.string("end", "", "How to end."))
"""


@pytest.mark.parametrize(
  ("end", "status", "last"),
  [
    ("mistake", 2, "error: no/file: No such file or directory"),
    ("fault", 1, "KeyError: 'fault'"),
    ("interrupt", 130, "interrupted"),
    ("own", 7, None),
    ("pipe", 141, None),
  ],
)
def test_processes_end_with_their_status(end, status, last):
  process = subprocess.Popen(
    [sys.executable, "-c", PROGRAM, f"--end={end}"],
    cwd=ROOT,
    stdout=subprocess.PIPE,
    stderr=subprocess.PIPE,
    text=True,
  )
  if end == "pipe":
    process.stdout.close()
    process.stdout = None
  _, errors = process.communicate(timeout=900)
  assert process.returncode == status, errors
  assert errors.splitlines()[-1:] == ([last] if last else [])
  assert ("Traceback" in errors) == (end == "fault")


@pytest.mark.parametrize("name", darkjax_main.COMMANDS)
def test_every_command_has_help(name):
  finished = commands.run(name, "--help")
  assert (finished.returncode, finished.stderr) == (0, "")
  text, _, flags = finished.stdout.partition("\n\nFlags:\n")
  assert len(text.splitlines()) >= 1
  assert text.splitlines()[0].endswith((".", ":"))
  names = [line.split(":")[0] for line in flags.splitlines() if "  --" in line]
  module = command.importlib.import_module(darkjax_main.COMMANDS[name])
  values, _ = command._define(module.define_flags)
  assert len(names) == len(list(values))
  assert max(map(len, finished.stdout.splitlines())) <= 80


def call(monkeypatch, capsys, *arguments) -> tuple[int, str, str]:
  """Status and output of `darkjax ARGUMENTS`."""
  monkeypatch.setattr(sys, "argv", ["darkjax", *arguments])
  with pytest.raises(SystemExit) as end:
    darkjax_main.main()
  printed = capsys.readouterr()
  return end.value.code or 0, printed.out, printed.err


def test_commands_are_listed(monkeypatch, capsys):
  for arguments in ((), ("--help",), ("-h",)):
    status, out, err = call(monkeypatch, capsys, *arguments)
    assert (status, err) == (0, "")
    listed = [line.split()[0] for line in out.splitlines() if line[:2] == "  "]
    assert listed == list(darkjax_main.COMMANDS)


def test_commands_are_called_by_name(monkeypatch, capsys):
  status, out, _ = call(monkeypatch, capsys, "release", "--help")
  assert status == 0
  assert "--checkpoint" in out
  status, _, err = call(monkeypatch, capsys, "release")
  assert (status, err) == (
    2,
    "error: missing --checkpoint, --out; see --help\n",
  )
  status, _, err = call(monkeypatch, capsys, "nope")
  assert status == 2
  assert err.startswith("error: unknown command 'nope'; known: train, ")


def test_python_m_darkjax():
  out = subprocess.check_output(
    [sys.executable, "-m", "darkjax", "models", "--help"], cwd=ROOT, text=True
  )
  assert "Flags:" in out
