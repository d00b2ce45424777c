"""Page to try a network on photographs: `python -m darkjax.demo`.

Opens no browser: it prints the address of a page that takes a photograph, by
upload or camera, and shows everyone's keypoints, and argmax, standard and DARK
side by side on the heatmap of one. `--detector` finds the people. Nothing
leaves this machine, and what was uploaded is deleted when the command ends, by
Ctrl-C. It needs `pip install "darkjax[demo]"`.
"""

import errno
import importlib.util
import logging
import os
import signal
import socket
import tempfile
import threading
from collections.abc import Sequence

import numpy as np

from darkjax.demo import decoders
from darkjax.demo import page as page_lib
from darkjax.inference.detectors import load
from darkjax.inference.people import SHOWN_SCORE
from darkjax.inference.pose import PRETRAINED, Pose
from darkjax.runtime import command, startup

_LOG = logging.getLogger(__name__)

# No photograph is kept in the browser (Gradio 6.25 and later).
_SETTINGS = {"GRADIO_RUN_HISTORY": "False"}


def main(flags: command.Flags, arguments: Sequence[str]) -> None:
  """Serves the page until Ctrl-C."""
  startup.start()
  if arguments:
    raise ValueError(
      f"photographs are given on the page, got {' '.join(arguments)}"
    )
  _check_address(flags.host, flags.port)
  if importlib.util.find_spec("gradio") is None:
    raise ImportError("the page needs gradio: pip install 'darkjax[demo]'")
  signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C
  pose = _load_pose(flags)
  with tempfile.TemporaryDirectory(prefix="darkjax-demo-") as folder:
    os.environ.update(_SETTINGS, GRADIO_TEMP_DIR=folder)
    answers = page_lib.Answers(pose, folder, detector=bool(flags.detector))
    page = page_lib.build(answers, min_score=flags.min_score)
    address = page_lib.launch(page, host=flags.host, port=flags.port)
    print(f"{address} (Ctrl-C ends it)", flush=True)
    try:
      threading.Event().wait()
    except KeyboardInterrupt:
      page.close()


def _load_pose(flags: command.Flags) -> Pose:
  """Returns the pose of the flags, compiled for one person."""
  if not flags.checkpoint:
    _LOG.warning("no --checkpoint: the small network of Pose.pretrained()")
  detector = load.from_flags(flags.detector, flags.min_box_score)
  pose = Pose.from_checkpoint(
    flags.checkpoint or PRETRAINED,
    flip_test=flags.flip_test,
    detector=detector,
    return_heatmaps=True,
  )
  _LOG.info("convention: %s", pose.convention.describe())
  blank = np.zeros((8, 8, 3), np.uint8), [[0, 0, 8, 8]]
  for people in pose.stream([blank]):
    decoders.decode(people[0], 0, pose.convention)
  return pose


def _check_address(host: str, port: int) -> None:
  family = socket.AF_INET6 if ":" in host else socket.AF_INET
  try:
    socket.create_server((host, port), family=family).close()
  except OSError as error:
    other = "port" if error.errno == errno.EADDRINUSE else "host or port"
    raise OSError(
      f"--host={host} --port={port} cannot be listened to: {error.strerror}; "
      f"name another {other}"
    ) from error


def define_flags(define: command.Define) -> None:
  """Adds the flags of `main`."""
  define.string(
    "checkpoint",
    None,
    "Folder of a run, or weights; default: those that come with darkjax.",
  )
  load.define_flags(define)
  define.float(
    "min_score",
    SHOWN_SCORE,
    "Lowest score of a keypoint to show, at first.",
    lower_bound=0.0,
    upper_bound=1.0,
  )
  define.bool("flip_test", True, "Average with the mirrored crop.")
  define.string(
    "host",
    "127.0.0.1",
    "Address to listen at; 0.0.0.0 lets other machines in. Their browsers give "
    "the camera to https alone.",
  )
  define.integer(
    "port", 7860, "Port to listen at.", lower_bound=1, upper_bound=65535
  )


if __name__ == "__main__":
  command.run(main, define_flags)
