"""Functions mapped over devices: the one place with `jax.pmap`.

A function is written for one device. Two mappings run it on all of them and
give the same bits:

  pmap       `jax.pmap`, for which rows are [devices, rows of one, ...]
  shard_map  `jax.jit(jax.shard_map(...))` over a mesh of one axis, for which
             rows are one array over the devices of all processes

Callers see no difference: they pass rows as NumPy arrays [N, ...] of their own
process, and values that every device needs a copy of from `replicate`.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any, Literal, get_args

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from darkjax.runtime import xla_options

AXIS = "devices"  # name of the mapped axis
Mapping = Literal["pmap", "shard_map"]
MAPPINGS: tuple[str, ...] = get_args(Mapping)

_SPECS = {None: PartitionSpec(), 0: PartitionSpec(AXIS)}


def map_step(
  step: Callable[..., Any], *, mapping: Mapping = "pmap"
) -> Callable[..., Any]:
  """Maps a training step over the devices of all processes.

  Args:
    step: pure function of one device, (state, batch, shared, axis_name=...) ->
      (state, metrics), which are the same on all devices.
    mapping: one of `MAPPINGS`.

  Returns:
    (state, batch, shared=None) -> (state, metrics). The state (donated) and
    `shared` are from `replicate`; the batch is this process's rows by name.

  Raises:
    ValueError: an unknown mapping.
  """
  # By process, as pmap numbers them.
  mesh = _mesh(sorted(jax.devices(), key=lambda device: device.process_index))
  mapped = _map(
    functools.partial(step, axis_name=AXIS),
    mapping,
    mesh,
    in_axes=(None, 0, None),
    out_axes=None,
    purpose="training",
    donate_argnums=0,
  )
  return lambda state, batch, shared=None: mapped(state, batch, shared)


def map_rows(
  function: Callable[[Any, Any], Any],
  *,
  mapping: Mapping = "pmap",
  fewest: int = 1,
) -> Callable[[Any, Any], Any]:
  """Maps a function of rows over the devices of this process alone.

  Args:
    function: pure function of one device, (shared, rows) -> results, trees of
      arrays with as many rows.
    mapping: one of `MAPPINGS`.
    fewest: rows that a device gets at least.

  Returns:
    (shared, rows) -> results: `shared` from `replicate`, the others NumPy
    arrays [N, ...] for any N (the last row is repeated to fill the devices).

  Raises:
    ValueError: an unknown mapping.
  """
  mesh = _mesh(jax.local_devices())
  mapped = _map(
    function, mapping, mesh, in_axes=(None, 0), out_axes=0, purpose="inference"
  )

  def call(shared: Any, rows: Any) -> Any:
    count = len(jax.tree.leaves(rows)[0])
    each = max(-(-count // mesh.size), fewest)
    padded = np.minimum(np.arange(each * mesh.size), count - 1)
    rows = jax.tree.map(lambda x: x[padded], rows)
    results = jax.device_get(mapped(shared, rows))
    if mapping == "pmap":
      results = jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), results)
    return jax.tree.map(lambda x: x[:count], results)

  return call


def replicate(tree: Any) -> Any:
  """Copies arrays to each of this process's devices."""
  return jax.device_put(tree, _local_copies(), may_alias=False)


def from_copies(copies: Sequence[jax.Array]) -> jax.Array:
  """Returns one array, as from `replicate`, of a copy on each local device."""
  return jax.make_array_from_single_device_arrays(
    copies[0].shape, _local_copies(), list(copies)
  )


def first_copy(tree: Any) -> Any:
  """Returns the first device's copy of arrays that are the same on all."""
  return jax.tree.map(lambda x: x.addressable_shards[0].data, tree)


def _map(
  function, mapping, mesh: Mesh, *, in_axes, out_axes, purpose: str, **jit
):
  """Maps a function of rows, whose axis is 0, and of copies, None."""
  if mapping == "pmap":
    # Arguments travel in tuples of one: where there are as many arguments as
    # leaves, jax 0.10 takes the axes of the former for those of the latter.
    mapped = jax.pmap(
      lambda *tuples: function(*(argument for (argument,) in tuples)),
      axis_name=AXIS,
      in_axes=tuple((axis,) for axis in in_axes),
      out_axes=out_axes,
      devices=mesh.devices.tolist(),
      **jit,
    )
    place = {None: lambda tree: (tree,), 0: lambda tree: (_split(tree),)}
  elif mapping == "shard_map":
    sharded = jax.shard_map(
      function,
      mesh=mesh,
      in_specs=tuple(_SPECS[axis] for axis in in_axes),
      out_specs=_SPECS[out_axes],
      check_vma=False,  # gradients stay each device's own, as in pmap
    )
    mapped = jax.jit(sharded, **jit)
    place = {
      None: lambda tree: _span(tree, mesh),
      0: lambda tree: _distribute(tree, mesh),
    }
  else:
    raise ValueError(
      f"unknown train.mapping {mapping!r}; known: {', '.join(MAPPINGS)}"
    )
  tuned = xla_options.tuned(mapped, purpose)
  return lambda *arguments: tuned(
    *(place[axis](tree) for axis, tree in zip(in_axes, arguments, strict=True))
  )


def _mesh(devices: Sequence[jax.Device]) -> Mesh:
  return Mesh(np.array(devices), (AXIS,))


def _local_copies() -> NamedSharding:
  return NamedSharding(_mesh(jax.local_devices()), _SPECS[None])


def _split(rows):
  """[D, N/D, ...] for D local devices."""
  devices = jax.local_device_count()
  return jax.tree.map(lambda x: x.reshape(devices, -1, *x.shape[1:]), rows)


def _distribute(rows, mesh: Mesh):
  """The rows of all processes in the mesh as one array."""
  sharding = NamedSharding(mesh, _SPECS[0])
  return jax.tree.map(
    lambda x: jax.make_array_from_process_local_data(sharding, x), rows
  )


def _span(tree, mesh: Mesh):
  """Copies on local devices as arrays over the mesh, if it holds more."""
  if jax.process_count() == 1:
    return tree
  sharding = NamedSharding(mesh, _SPECS[None])

  def span(x):
    if not x.is_fully_addressable:
      return x
    copies = [shard.data for shard in x.addressable_shards]
    return jax.make_array_from_single_device_arrays(x.shape, sharding, copies)

  return jax.tree.map(span, tree)
