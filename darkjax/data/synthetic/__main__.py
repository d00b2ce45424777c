"""Synthetic people, drawn from nothing but NumPy and a seed.

    python -m darkjax.data.synthetic --out=DIR --train=2000 --val=500 --seed=0

writes a folder in COCO's format, `images/` and
`annotations/person_keypoints_{train,val}.json`, with 17 keypoints per person
known to the third decimal of a pixel. Every image depends on (seed, split,
index) only, so that a larger set contains a smaller one, and the same call on
the same machine writes the same bytes.
"""

from darkjax.data.synthetic import dataset
from darkjax.runtime import command


def main(flags: command.Flags, arguments) -> None:
  """Writes the people to train on and those to evaluate on."""
  command.refuse_arguments(arguments)
  for split, num_people in (("train", flags.train), ("val", flags.val)):
    path = dataset.write_dataset(
      flags.out, num_people=num_people, seed=flags.seed, split=split
    )
    print(f"{num_people} people: {path}")


def define_flags(define: command.Define) -> None:
  """Adds the flags of `main`."""
  define.string("out", None, "Folder to write.", required=True)
  define.integer("train", 2000, "People to train on.", 1)
  define.integer("val", 500, "People to evaluate on.", 1)
  define.integer("seed", 0, "Seed of everything.", 0)


if __name__ == "__main__":
  command.run(main, define_flags)
