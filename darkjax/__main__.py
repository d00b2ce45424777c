"""Commands by name: `darkjax train ...` is `python -m darkjax.train ...`.

  train           trains a network
  browse          draws what a configuration trains on
  evaluate        scores networks on a data set
  calibrate       fits what scores mean, on a labelled data set
  predict         finds people in photographs, folders and videos
  predict-many    finds people in very many photographs, on several machines
  demo            serves a page to try a network on photographs
  export          writes a network as StableHLO, ONNX or SavedModel
  release         writes the weights of a run as a folder or a small file
  models          lists the networks with their size and cost
  models.weights  imports published PyTorch weights
  convert         reads labels of DeepLabCut, SLEAP, CVAT, YOLO and others
  data.check      lists what is wrong with a data set
  data.pack       packs a data set for training from the devices' memory
  data.synthetic  draws a data set of people
  data.mpii       converts the labels of MPII Human Pose
  data.whole_body converts the labels of COCO-WholeBody

NAME --help shows the flags of a command.
"""

import sys

from darkjax.runtime import command, errors

# Each command's module, imported when it is called.
COMMANDS = {
  "train": "darkjax.train.__main__",
  "browse": "darkjax.browse.__main__",
  "evaluate": "darkjax.evaluate.__main__",
  "calibrate": "darkjax.evaluate.calibrate",
  "predict": "darkjax.predict.__main__",
  "predict-many": "darkjax.predict.many.__main__",
  "demo": "darkjax.demo.__main__",
  "export": "darkjax.export.__main__",
  "release": "darkjax.release",
  "models": "darkjax.models.__main__",
  "models.weights": "darkjax.checkpoint.import_torch",
  "convert": "darkjax.convert.__main__",
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
    print(__doc__.rstrip())
    sys.exit(0)
  if name not in COMMANDS:
    print(
      f"error: unknown command {name!r}; known: {', '.join(COMMANDS)}",
      file=sys.stderr,
    )
    sys.exit(errors.USER_ERROR)
  command.run_module(COMMANDS[name], [f"darkjax {name}", *sys.argv[2:]])


if __name__ == "__main__":
  main()
