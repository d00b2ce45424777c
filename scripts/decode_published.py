r"""The decoders on real heatmaps of published networks, and of our own.

    python scripts/decode_published.py --heatmaps=FOLDER
    python scripts/decode_published.py --runs=runs/a,runs/b

prints markdown tables; with --docs=docs it writes them into the pages instead.
FOLDER holds one .npz for each network: heatmaps [N, H, W, K],
image_from_heatmap [N, 2, 3], keypoints_image [N, K, 2], labelled [N, K], torso
[N] px, names [K].

  levels      PCK@0.1 and PCK@0.05 of the torso, percent
  gaps        DARK with the default minus each row, percent, with 95 % intervals
              of a paired bootstrap over people
  why         the kernel of 11 on maps cut around the maximum
  offsets     mean error in x and y
  time        of decoding all people, milliseconds, the median of several turns
  covariances how well the Hessian's covariance predicts the error

The rows of Hugging Face's VitPose and of mmpose need transformers with PyTorch
and SciPy, and mmpose, best in an environment of its own; the rows are left out
where a package is missing. `pip install --no-deps mmpose` suffices: of mmpose
two files are imported, without mmcv.
"""

import functools
import pathlib
from collections.abc import Callable, Mapping

import bench
import jax
import numpy as np
import published_covariances
from published_maps import Bootstrap, Network, from_run, gap, read, table
from reproduction import report

from darkjax import decode_heatmaps, estimate_sigma
from darkjax.heatmaps.decode import DEFAULT_BLUR_KERNEL
from darkjax.runtime import command, startup

KERNELS = (1, 3, 5, 7, 11, 17)
THRESHOLDS = (0.1, 0.05)  # of the torso
DEFAULT = f"**DARK, k = {DEFAULT_BLUR_KERNEL}, the default**"
LARGE_KERNEL = 11  # the authors', and the peers' default
SHARED = ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")
TURNS = 11
Decoder = Callable[[np.ndarray], np.ndarray]  # [N, H, W, K] -> [N, K, 2]
Points = dict[str, np.ndarray]  # [N, K, 2] heatmap px by the name of the row


def main(flags: command.Flags, _) -> None:
  """Prints the tables or writes them into the pages."""
  startup.start()
  if flags.runs:
    networks = [from_run(run, flags.root) for run in flags.runs]
    found = list(map(points, networks))
    tables = {
      "own_levels": levels(networks, found),
      "own_gaps": gaps(networks, found),
    }
  else:
    networks = read(flags.heatmaps)
    found = list(map(points, networks))
    tables = {
      "levels": levels(networks, found),
      "gaps": gaps(networks, found),
      "why": why(networks),
      "offsets": offsets(networks),
      "time": times(networks),
      "covariances": published_covariances.summary(networks),
      "reliability": published_covariances.reliability(networks),
    }
  for name, text in tables.items():
    if flags.docs:
      page = "decoder.md" if name in IN_DECODER else "decode_any_model.md"
      report.write(pathlib.Path(flags.docs) / page, f"published_{name}", text)
    else:
      print(f"{name}\n\n{text}\n")


IN_DECODER = ("why", "covariances", "reliability")


def own_decoders(network: Network) -> dict[str, Decoder]:
  """Returns our decoders by the name of the row."""

  def decoder(**options) -> Decoder:
    return lambda maps: np.asarray(decode_heatmaps(maps, **options).keypoints)

  kernels = {f"DARK, k = {k}": decoder(blur_kernel=k) for k in KERNELS}
  del kernels[f"DARK, k = {DEFAULT_BLUR_KERNEL}"]
  return {
    "argmax": decoder(method="argmax"),
    "standard": decoder(method="standard"),
    DEFAULT: decoder(),
    "DARK, `sigma=estimate_sigma`": decoder(
      sigma=estimate_sigma(network.heatmaps)
    ),
    **kernels,
    "DARK, official, k = 11": decoder(blur_kernel=11, border="official"),
  }


def peers() -> dict[str, Decoder]:
  """Returns the decoders of other packages that are installed."""
  try:
    import decode_peers
  except ImportError:  # PyTorch
    return {}
  makers = {
    "VitPose": decode_peers.hugging_face,
    "mmpose DARK": decode_peers.mmpose,
  }
  found = {}
  for name, make in makers.items():
    for kernel in (LARGE_KERNEL, 3):
      decode = make(kernel)
      if decode:
        found[f"{name}, k = {kernel}"] = functools.partial(
          _channels_first, decode
        )
  return found


def _channels_first(decode, maps):
  return decode(np.ascontiguousarray(maps.transpose(0, 3, 1, 2)))


def points(network: Network) -> Points:
  """Returns every decoder's points."""
  decoders = own_decoders(network) | peers()
  return {name: decode(network.heatmaps) for name, decode in decoders.items()}


def hits(network: Network, found: np.ndarray) -> list[np.ndarray]:
  """Returns which points [N, K] are within each threshold."""
  return [network.shares(found) <= threshold for threshold in THRESHOLDS]


def percents(network: Network, found: np.ndarray) -> list[float]:
  """Returns PCK in percent at each threshold."""
  return [
    100 * float(hit[network.labelled].mean()) for hit in hits(network, found)
  ]


def levels(networks: list[Network], found: list[Points]) -> str:
  """Returns the table of PCK@0.1 / PCK@0.05."""
  columns = [
    {
      name: "{:.1f} / {:.1f}".format(*percents(network, row))
      for name, row in rows.items()
    }
    for network, rows in zip(networks, found, strict=True)
  ]
  return _joined("decoder", networks, columns, width=True)


def gaps(networks: list[Network], found: list[Points]) -> str:
  """Returns the table of what the default gains over each row."""
  columns = []
  for network, rows in zip(networks, found, strict=True):
    bootstrap = Bootstrap(network)
    means = {
      name: [bootstrap.mean(hit) for hit in hits(network, row)]
      for name, row in rows.items()
    }
    ours = means.pop(DEFAULT)
    columns.append(
      {
        name: "; ".join(map(gap, ours, theirs))
        for name, theirs in means.items()
      }
    )
  return _joined("the default minus", networks, columns)


def why(networks: list[Network]) -> str:
  """Returns the table of small and large kernel on altered maps."""
  columns = []
  for network in networks:
    column = {}
    for name, maps in altered(network).items():
      for kernel in (DEFAULT_BLUR_KERNEL, LARGE_KERNEL):
        found = decode_heatmaps(maps, blur_kernel=kernel).keypoints
        row = percents(network, np.asarray(found))
        column[f"k = {kernel}, {name}"] = "{:.1f} / {:.1f}".format(*row)
    columns.append(column)
  return _joined("maps", networks, columns, width=True)


def altered(network: Network) -> dict[str, np.ndarray]:
  """Returns the maps with parts of them taken out, by what was done."""
  maps = network.heatmaps
  sigma = estimate_sigma(maps)
  maximum = decode_heatmaps(maps, method="argmax").keypoints
  maximum = np.asarray(maximum)[:, None, None]  # [N, 1, 1, K, 2]
  y, x = np.mgrid[: maps.shape[1], : maps.shape[2]]
  pixels = np.stack([x, y], -1)[None, :, :, None]
  distance = np.linalg.norm(pixels - maximum, axis=-1) / sigma
  far = np.where(distance > 4, maps, np.nan)
  background = np.nanmedian(far, axis=(1, 2), keepdims=True)
  return {
    "as they are": maps,
    "less their background": maps - background,
    "0 beyond 3 σ of the maximum": np.where(distance <= 3, maps, 0.0),
    "0 beyond 2 σ of the maximum": np.where(distance <= 2, maps, 0.0),
  }


def offsets(networks: list[Network]) -> str:
  """Returns the table of biases, and of points moved by half a cell."""
  rows = {}
  for network in networks:
    found = np.asarray(decode_heatmaps(network.heatmaps).keypoints)
    body = np.array([name.endswith(SHARED) for name in network.names])
    errors = network.offsets(found)
    kept = network.near(errors) & body
    bootstrap = Bootstrap(network)
    cell = np.sqrt(abs(np.linalg.det(network.image_from_heatmap[..., :2])))
    bias = [
      _mean_and_error(bootstrap, errors[..., axis] * scale, kept)
      for scale in (1.0, cell[:, None])
      for axis in (0, 1)
    ]
    moved = (
      f"{percents(network, found + shift)[1]:.1f}" for shift in (-0.5, 0, 0.5)
    )
    rows[network.name] = [f"{np.median(cell):.1f}", *bias, *moved]
  columns = "network, cell in image px, dx in cells, dy in cells"
  columns += ", dx in image px, dy in image px"
  columns += ", PCK@0.05 moved by −½ cell, as it is, by +½"
  return table(tuple(columns.split(", ")), rows)


def _mean_and_error(bootstrap, values, kept):
  mean, draws = bootstrap.mean(values, kept)
  return f"{mean:+.2f} ± {draws.std():.2f}"


def times(networks: list[Network]) -> str:
  """Returns the table of times for all people, milliseconds."""
  columns = []
  for network in networks:
    ours = {
      name: functools.partial(decode, jax.device_put(network.heatmaps))
      for name, decode in own_decoders(network).items()
      if name in ("standard", DEFAULT, f"DARK, k = {LARGE_KERNEL}")
    }
    sides = ours | {
      name: functools.partial(decode, network.heatmaps)
      for name, decode in peers().items()
    }
    seconds = bench.take_turns(sides, TURNS, calls=1)
    columns.append(
      {name: f"{1e3 * np.median(s):.1f}" for name, s in seconds.items()}
    )
  return _joined("decoder", networks, columns)


def _joined(
  first: str,
  networks: list[Network],
  columns: list[Mapping[str, str]],
  width: bool = False,
) -> str:
  """Returns a table with a column for each network."""
  heads = []
  for network in networks:
    height, length = network.heatmaps.shape[1:3]
    head = f"{network.name} {height}×{length}"
    if width:
      head += f", peaks σ {estimate_sigma(network.heatmaps):.2f}"
    heads.append(head)
  rows = {name: [column[name] for column in columns] for name in columns[0]}
  return table((first, *heads), rows)


def define_flags(define: command.Define) -> None:
  """Adds the flags of the command."""
  define.string("heatmaps", None, "Folder of .npz files with real heatmaps.")
  define.list("runs", [], "Runs of darkjax in place of a folder.")
  define.string("root", None, "Folder of the runs' data, where it has moved.")
  define.string("docs", None, "Folder of the pages to write the tables into.")


if __name__ == "__main__":
  command.run(main, define_flags)
