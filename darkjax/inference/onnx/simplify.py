"""An equal function made of fewer and simpler operations, for converters.

Converters of JAX to other formats go through a traced function operation by
operation. They stumble over what XLA takes in its stride (gathers with batch
axes) and keep what XLA would compute once or not at all. `simplify` traces a
function and gives back one with the same results in which

  * calls are inlined, what depends on constants alone is computed now, and
    what is computed twice is computed once;
  * broadcasting is left to the arithmetic that needs it;
  * gathers with batch axes are gathers from the flattened array;
  * max(x, 0) is `jax.nn.relu`, which converters have a name for.
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

# Calls, by the parameter that holds what they call.
_CALLS = {
  "jit": "jaxpr",
  "pjit": "jaxpr",
  "custom_jvp_call": "call_jaxpr",
  "custom_vjp_call": "call_jaxpr",
}
# Arithmetic whose operands need not have the same shape in jax.numpy.
_BROADCASTING = {
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
# Arithmetic on each element by itself.
_UNARY = {
  "abs",
  "convert_element_type",
  "erf",
  "exp",
  "integer_pow",
  "is_finite",
  "log",
  "neg",
  "not",
  "rsqrt",
  "sign",
  "sqrt",
  "square",
}
# What concerns compilation or derivatives only.
_IDENTITIES = {"optimization_barrier", "stop_gradient", "copy"}


def simplify(
  function: Callable[[jax.Array], jax.Array], argument: jax.ShapeDtypeStruct
) -> Callable[[jax.Array], jax.Array]:
  """Traces a function of one array and simplifies what it computes.

  Args:
    function: of one array, to one array.
    argument: shape and type of the array; axes may be symbolic.

  Returns:
    A function to be traced with an array of that shape, symbolic axes included,
    with the same result up to rounding.
  """
  traced = jax.make_jaxpr(function)(argument)

  def simplified(array):
    (result,) = _evaluate(traced.jaxpr, traced.consts, [_Value(array)], {})
    return result.full()

  return simplified


@dataclasses.dataclass
class _Value:
  """An array, or one that broadcasts to the shape it should have.

  Attributes:
    array: has the rank of `shape`, and 1 or the same along each axis.
    shape: None for that of the array.
  """

  array: Any
  shape: tuple[Any, ...] | None = None

  def __post_init__(self):
    if self.shape is None:
      self.shape = tuple(self.array.shape)

  def full(self):
    """The array in its shape."""
    thin = self.array
    if tuple(thin.shape) == tuple(self.shape):
      return thin
    return lax.broadcast_in_dim(thin, self.shape, tuple(range(thin.ndim)))

  @property
  def is_constant(self) -> bool:
    """Whether it is known before the function is called."""
    return not isinstance(self.array, jax.core.Tracer)

  def identity(self):
    """Equal for equal values, as far as that is quickly seen."""
    if self.is_constant and self.array.size == 1:
      return self.array.item(), str(self.array.dtype), self.shape
    return id(self)


def _evaluate(jaxpr, constants, arguments, done) -> list[_Value]:
  """Goes through a traced function, with what is known of its values.

  Args:
    jaxpr: the function.
    constants: arrays it was traced with.
    arguments: values.
    done: operations seen so far, with their operands and results.

  Returns:
    The values of its results.
  """
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
  """One operation of a traced function."""
  name, params = equation.primitive.name, equation.params
  if name in _CALLS:
    called = params[_CALLS[name]]
    return _evaluate(called.jaxpr, called.consts, operands, done)
  if name in _IDENTITIES:
    return operands
  if name not in _THIN:
    return _compute_early(equation, operands)
  key = name, str(params), *(operand.identity() for operand in operands)
  if key not in done:
    # With the operands, whose ids must stay taken.
    done[key] = _compute_early(equation, operands), operands
  return done[key][0]


def _compute_early(equation, operands) -> list[_Value]:
  """Computes now what is known now."""
  shape = tuple(equation.outvars[0].aval.shape)
  if not _is_known(equation.primitive.name, operands, shape):
    return _compute(equation, operands, shape)
  with jax.ensure_compile_time_eval():
    return _compute(equation, operands, shape)


def _is_known(name, operands, shape) -> bool:
  """Whether the operation can be done now: constants, and no open axis."""
  if not all(operand.is_constant for operand in operands):
    return False
  shapes = [shape, *(operand.shape for operand in operands)]
  is_open = any(not isinstance(side, int) for s in shapes for side in s)
  return name in _THIN or not is_open


def _compute(equation, operands, shape) -> list[_Value]:
  primitive, params = equation.primitive, equation.params
  rule = _RULES.get(primitive.name)
  found = rule(operands, params, shape) if rule else None
  if found is None and primitive.name in _BROADCASTING:
    found = _broadcasting(primitive.name, operands, shape)
  if found is None and primitive.name in _UNARY:
    found = _Value(primitive.bind(operands[0].array, **params), shape)
  if found is not None:
    return [found]
  results = primitive.bind(*(operand.full() for operand in operands), **params)
  return [*map(_Value, results if primitive.multiple_results else [results])]


def _broadcasting(name, operands, shape) -> _Value:
  """Arithmetic on what the operands have along each axis."""
  arrays = [_with_rank(operand.array, len(shape)) for operand in operands]
  return _Value(_BROADCASTING[name](*arrays), shape)


def _with_rank(array, rank):
  return array if array.ndim == rank else array.reshape((1,) * rank)


def _maximum(operands, params, shape) -> _Value | None:
  del params
  for one, other in (operands, operands[::-1]):
    if other.is_constant and other.array.size == 1 and not other.array.item():
      return _Value(jax.nn.relu(one.array), shape)
  return None


def _broadcast(operands, params, shape) -> _Value:
  """Keeps the array and remembers the shape; new axes are 1."""
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


_RULES = {
  "broadcast_in_dim": _broadcast,
  "gather": _gather,
  "max": _maximum,
}
# What leaves axes of 1 as they are, and so can be done on constants at once.
_THIN = {"broadcast_in_dim", *_BROADCASTING, *_UNARY}
