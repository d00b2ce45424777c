"""Equal functions of fewer and simpler operations, for converters.

Converters translate a traced function operation by operation. They fail at some
and keep others that XLA would compute once or not at all. `simplify` returns a
function with the same results in which

  * calls are inlined, what depends on constants alone is computed at once, and
    what is computed twice is computed once;
  * broadcasting is left to the arithmetic that needs it;
  * gathers with batch axes are gathers from the flattened array;
  * max(x, 0) is `jax.nn.relu`, which converters recognise.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.extend import core

from darkjax.inference.onnx import gather

# Calls, and the parameter that holds the called function.
_CALLS = {
  "jit": "jaxpr",
  "pjit": "jaxpr",
  "custom_jvp_call": "call_jaxpr",
  "custom_vjp_call": "call_jaxpr",
}
# Arithmetic whose operands need not have the same shape in jax.numpy.
_BROADCASTING: dict[str, Callable[..., Any]] = {
  "add": jnp.add,
  "sub": jnp.subtract,
  "mul": jnp.multiply,
  "div": jnp.divide,
  "max": jnp.maximum,
  "min": jnp.minimum,
  "lt": jnp.less,
  "le": jnp.less_equal,
  "gt": jnp.greater,
  "ge": jnp.greater_equal,
  "eq": jnp.equal,
  "and": jnp.logical_and,
  "or": jnp.logical_or,
  "select_n": lambda which, *cases: jnp.where(which, *reversed(cases)),
}
# Arithmetic on single elements.
_UNARY = {
  *("abs", "convert_element_type", "erf", "exp", "integer_pow", "is_finite"),
  *("log", "neg", "not", "rsqrt", "sign", "sqrt", "square"),
}
# Operations for compilation or derivatives only.
_IDENTITIES = {"optimization_barrier", "stop_gradient", "copy"}


def simplify(
  function: Callable[[jax.Array], jax.Array], argument: jax.ShapeDtypeStruct
) -> Callable[[jax.Array], jax.Array]:
  """Returns an equal function of fewer operations, to be traced by a converter.

  Args:
    function: takes and returns one array.
    argument: shape and type of the array; axes may be symbolic.
  """
  traced = jax.make_jaxpr(function)(argument)

  def simplified(array):
    (result,) = _evaluate(traced.jaxpr, traced.consts, [_Value(array)], {})
    return result.full()

  return simplified


@dataclasses.dataclass
class _Value:
  """An array that may still have to be broadcast to its shape."""

  array: Any  # has the rank of `shape`, and 1 or the same along each axis
  shape: tuple[Any, ...] | None = None  # default: that of the array

  def __post_init__(self):
    if self.shape is None:
      self.shape = tuple(self.array.shape)

  def full(self):
    """Returns the array in its shape."""
    if tuple(self.array.shape) == tuple(self.shape):
      return self.array
    axes = tuple(range(self.array.ndim))
    return lax.broadcast_in_dim(self.array, self.shape, axes)

  @property
  def is_constant(self) -> bool:
    """Whether it does not depend on the function's argument."""
    return not isinstance(self.array, jax.core.Tracer)

  def identity(self):
    """Returns a key that is equal for equal scalars and the same value."""
    if self.is_constant and self.array.size == 1:
      return self.array.item(), str(self.array.dtype), self.shape
    return id(self)


def _evaluate(jaxpr, constants, arguments, done) -> list[_Value]:
  """Evaluates a traced function; `done` holds operations and their results."""
  values = dict(zip(jaxpr.invars, arguments, strict=True))
  for variable, constant in zip(jaxpr.constvars, constants, strict=True):
    values[variable] = _Value(constant)

  def read(atom):
    if isinstance(atom, core.Literal):
      return _Value(np.asarray(atom.val, atom.aval.dtype))
    return values[atom]

  for equation in jaxpr.eqns:
    results = _apply(equation, [read(atom) for atom in equation.invars], done)
    values.update(zip(equation.outvars, results, strict=True))
  return [read(atom) for atom in jaxpr.outvars]


def _apply(equation, operands: list[_Value], done) -> list[_Value]:
  name, params = equation.primitive.name, equation.params
  if name in _CALLS:
    called = params[_CALLS[name]]
    return _evaluate(called.jaxpr, called.consts, operands, done)
  if name in _IDENTITIES:
    return operands
  if name not in _BROADCASTABLE:
    return _compute_early(equation, operands)
  key = name, str(params), *(operand.identity() for operand in operands)
  if key not in done:
    # With the operands, whose ids must stay in use.
    done[key] = _compute_early(equation, operands), operands
  return done[key][0]


def _compute_early(equation, operands) -> list[_Value]:
  """Computes an operation, at once on constants without a symbolic axis."""
  shape = tuple(equation.outvars[0].aval.shape)
  shapes = [shape, *(operand.shape for operand in operands)]
  symbolic = any(not isinstance(side, int) for s in shapes for side in s)
  constant = all(operand.is_constant for operand in operands)
  broadcastable = equation.primitive.name in _BROADCASTABLE
  if not constant or (symbolic and not broadcastable):
    return _compute(equation, operands, shape)
  with jax.ensure_compile_time_eval():
    return _compute(equation, operands, shape)


def _compute(equation, operands, shape) -> list[_Value]:
  primitive, params = equation.primitive, equation.params
  name = primitive.name
  result = _RULES[name](operands, params, shape) if name in _RULES else None
  if result is None and name in _BROADCASTING:
    rank = len(shape)
    arrays = [
      x.array if x.array.ndim == rank else x.array.reshape((1,) * rank)
      for x in operands
    ]
    result = _Value(_BROADCASTING[name](*arrays), shape)
  if result is None and name in _UNARY:
    result = _Value(primitive.bind(operands[0].array, **params), shape)
  if result is not None:
    return [result]
  results = primitive.bind(*(operand.full() for operand in operands), **params)
  return [*map(_Value, results if primitive.multiple_results else [results])]


def _maximum(operands, params, shape) -> _Value | None:
  del params
  for one, other in (operands, operands[::-1]):
    if other.is_constant and other.array.size == 1 and not other.array.item():
      return _Value(jax.nn.relu(one.array), shape)
  return None


def _broadcast(operands, params, shape) -> _Value:
  """Keeps the array with new axes of 1, and notes the shape."""
  array = operands[0].array
  sides = np.ones(len(shape), object)
  for axis, side in zip(
    params["broadcast_dimensions"], array.shape, strict=True
  ):
    sides[axis] = side
  return _Value(array.reshape(tuple(sides)), shape)


def _gather(operands, params, shape) -> _Value | None:
  del shape
  if not gather.has_batch_axes(params):
    return None
  operand, indices = (value.full() for value in operands)
  return _Value(gather.gather(operand, indices, params))


_RULES = {"broadcast_in_dim": _broadcast, "gather": _gather, "max": _maximum}
# Operations that keep axes of 1, and so can be computed at once on constants.
_BROADCASTABLE = {"broadcast_in_dim", *_BROADCASTING, *_UNARY}
