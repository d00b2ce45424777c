"""Convolutions that train quickly on CPUs; elsewhere they are XLA's own.

The gradient of a kernel sums over people and pixels. XLA's convolutions on CPUs
sum over the innermost dimension, so they want the layer's input as
[C, H, W, B]. XLA fuses that transposition with the batch norms, additions and
ReLUs that made the input and so computes them again, reading all that they need
in steps of a whole image: more than half of a training step of HRNet-W32.
`_transpose_alone` keeps the transposition separate. And a 1×1 convolution is a
product of matrices, which XLA computes on all cores and a convolution on one.

Measured by scripts/bench_training.py.
"""

from collections.abc import Sequence
from typing import Any

import jax
from jax import lax

DIMENSIONS = ("NHWC", "HWIO", "NHWC")


def convolve(
  lhs: jax.Array,
  rhs: jax.Array,
  window_strides: Sequence[int],
  padding: Sequence[tuple[int, int]],
  **_: Any,
) -> jax.Array:
  """Convolves, for `flax.linen.Conv.conv_general_dilated` of a trained layer.

  [B, H, W, C] by [h, w, C, F] -> [B, H', W', F]; a 1×1 kernel has no padding.
  Differentiable in reverse only.
  """
  strides = tuple(window_strides)
  pads = tuple((before, after) for before, after in padding)
  if rhs.shape[:2] == (1, 1):
    return _project(lhs[:, :: strides[0], :: strides[1]], rhs)
  return _convolve(lhs, rhs, strides, pads)


def _xla_convolve(x, kernel, strides=(1, 1), padding=((0, 0), (0, 0))):
  return lax.conv_general_dilated(
    x, kernel, strides, padding, dimension_numbers=DIMENSIONS
  )


_convolve = jax.custom_vjp(_xla_convolve, nondiff_argnums=(2, 3))


def _convolve_forward(x, kernel, strides, padding):
  return _convolve(x, kernel, strides, padding), (x, kernel)


def _convolve_backward(strides, padding, saved, gradient):
  x, kernel = saved
  _, to_input = jax.vjp(lambda x: _xla_convolve(x, kernel, strides, padding), x)
  x = lax.platform_dependent(x, cpu=_transpose_alone, default=lambda x: x)
  _, to_kernel = jax.vjp(
    lambda kernel: _xla_convolve(x, kernel, strides, padding), kernel
  )
  (by_kernel,) = to_kernel(gradient)
  by_kernel = lax.platform_dependent(
    by_kernel, cpu=lambda x: x, default=_as_stored
  )
  return to_input(gradient)[0], by_kernel


def _as_stored(x):
  """The same x, laid out in memory as parameters are.

  Else XLA updates parameters and moments in the layout of cuDNN's gradient and
  then copies all three.
  """
  return lax.optimization_barrier(x.reshape(-1)).reshape(x.shape)


_convolve.defvjp(_convolve_forward, _convolve_backward)


@jax.custom_vjp
def _project(x, kernel):
  """A 1×1 convolution of [B, H, W, C] by [1, 1, C, F]."""
  return lax.platform_dependent(
    x,
    kernel,
    cpu=lambda x, kernel: lax.dot_general(
      x, kernel[0, 0], (((3,), (0,)), ((), ()))
    ),
    default=_xla_convolve,
  )


def _project_forward(x, kernel):
  return _project(x, kernel), (x, kernel)


def _project_backward(saved, gradient):
  return lax.platform_dependent(
    *saved,
    gradient,
    cpu=_project_gradients,
    default=lambda x, kernel, y: jax.vjp(_xla_convolve, x, kernel)[1](y),
  )


_project.defvjp(_project_forward, _project_backward)


def _project_gradients(x, kernel, gradient):
  """Gradients of the 1×1 convolution as products of matrices."""
  rows = x.reshape(-1, x.shape[-1])
  to_rows = gradient.reshape(-1, gradient.shape[-1])
  columns = _unfused(lambda x: x.T, rows)
  to_x = (to_rows @ kernel[0, 0].T).reshape(x.shape)
  return to_x, (columns @ to_rows)[None, None]


def _transpose_alone(x):
  """The same x [B, H, W, C], behind a transposition that nothing fuses with."""
  return _unfused(lambda x: x.transpose(3, 1, 2, 0), x).transpose(3, 1, 2, 0)


def _unfused(function, x):
  """function(x), by itself: XLA fuses nothing across a conditional's edge."""
  first = x[(0,) * x.ndim]
  return lax.cond(first == first, function, function, x)
