"""Gathers with batch axes, rewritten without them for other formats.

XLA's gather reads slices of each element of a batch at positions that the
element gives. Here these positions become indices into the flattened array.
"""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax


def has_batch_axes(params: dict[str, Any]) -> bool:
  """Returns whether `gather` can rewrite a gather with these parameters."""
  batched = bool(params["dimension_numbers"].operand_batching_dims)
  return batched and params["mode"] != lax.GatherScatterMode.FILL_OR_DROP


def gather(
  operand: jax.Array, indices: jax.Array, params: dict[str, Any]
) -> jax.Array:
  """Gathers from the flattened operand what `lax.gather` would.

  Indices [..., N] along the N axes of `start_index_map` are clipped so that
  slices fit.
  """
  flat = _flat_indices(operand.shape, indices, params)
  one_axis = lax.GatherDimensionNumbers((), (0,), (0,))
  return lax.gather(
    operand.reshape(-1),
    flat[..., None],
    one_axis,
    (1,),
    mode="promise_in_bounds",
  )


def _flat_indices(sides, indices, params) -> jax.Array:
  """Returns each result's int32 index into the flattened operand."""
  numbers, sizes = params["dimension_numbers"], params["slice_sizes"]
  batching = numbers.operand_batching_dims
  removed = {*numbers.collapsed_slice_dims, *batching}
  inner = [axis for axis in range(len(sides)) if axis not in removed]
  rank = indices.ndim - 1 + len(inner)
  outer = [axis for axis in range(rank) if axis not in numbers.offset_dims]

  def shape_of(axes, given):
    """Returns the given sides on these axes of the result, 1 on the others."""
    shape = np.ones(rank, object)
    shape[axes] = given
    return tuple(shape)

  def count(axis, side):
    """Returns 0, 1, 2, ... along an axis of the result."""
    return lax.broadcasted_iota(jnp.int32, shape_of([axis], (side,)), axis)

  flat = jnp.zeros((1,) * rank, jnp.int32)
  for axis, side in enumerate(sides):
    stride = math.prod(sides[axis + 1 :])
    if axis in batching:
      batch = numbers.start_indices_batching_dims[batching.index(axis)]
      flat += stride * count(outer[batch], side)
    if axis in inner:
      offset = int(numbers.offset_dims[inner.index(axis)])
      flat += stride * count(offset, sizes[axis])
    if axis in numbers.start_index_map:
      starts = indices[..., numbers.start_index_map.index(axis)]
      starts = jnp.clip(starts, 0, side - sizes[axis])
      flat += stride * starts.reshape(shape_of(outer, starts.shape))
  return flat
