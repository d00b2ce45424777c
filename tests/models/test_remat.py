"""With remat the same gradients come from fewer kept activations."""

import functools

import hashed
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from darkjax.models import create_model, hrnet, layers


def test_gradients_and_statistics_are_the_same(rng):
  conv = functools.partial(layers.conv, kernel_init=layers.fan_out_init)
  norm = functools.partial(layers.BatchNorm, use_running_average=False)
  branches = [
    rng.normal(size=(2, 8, 12, 4)).astype(np.float32),
    rng.normal(size=(2, 4, 6, 8)).astype(np.float32),
  ]
  result = []
  for remat in (False, True):
    module = hrnet.ExchangeModule(1, 1, conv, norm, remat)
    variables = module.init(jax.random.key(0), branches)

    def loss(params, module=module, variables=variables):
      (maps,), updates = module.apply(
        {**variables, "params": params}, branches, mutable="batch_stats"
      )
      return jnp.square(maps - 1).mean(), updates

    gradients = jax.jit(jax.grad(loss, has_aux=True))(variables["params"])
    result.append((variables, gradients))
  assert jax.tree.structure(result[0]) == jax.tree.structure(result[1])
  for one, other in zip(*map(jax.tree.leaves, result), strict=True):
    # float32; the same operations, which XLA fuses in another way.
    scale = np.abs(one).max()
    np.testing.assert_allclose(other, one, rtol=1e-4, atol=1e-5 * scale)


@pytest.mark.parametrize(
  ("case", "count"),
  # By hand. HRNet: two bottlenecks, and of each of four exchange modules its 2,
  # 3, 4 and 4 branches' one block. ResNet: a block in each of four layers.
  # Hourglass: three blocks of the stem, and in each of two stacks thirteen and
  # one.
  [
    ("hrnet", 2 + 2 + 3 + 4 + 4),
    ("resnet_basic", 4),
    ("hourglass", 3 + 2 * 14),
  ],
)
def test_every_block_is_computed_again(case, count):
  name, fields, size = hashed.CASES[case]
  model = create_model(name, 3, remat=True, **fields)
  images = jnp.zeros((1, *size, 3))
  variables = jax.eval_shape(model.init, jax.random.key(0), images)
  jaxpr = jax.make_jaxpr(model.apply)(variables, images)
  names = [equation.primitive.name for equation in jaxpr.eqns]
  assert names.count("remat2") + names.count("checkpoint") == count
