"""Every kind of file and naming gives the same variables, or an error."""

import pickle
import sys
from unittest import mock

import commands
import hashed
import jax
import numpy as np
import pytest

from darkjax import checkpoint, models
from darkjax.models import create_model, torch_files, torch_names, weights

NAME, OVERRIDES, _ = hashed.CASES["train"]
RESNET = {"features": 4, "deconv_features": 4, "blocks": (1, 1, 1, 1)}


def shapes_of(model):
  entries = weights.expected_entries(model)
  return {name: shape for name, (_, shape) in entries.items()}


@pytest.fixture(scope="module")
def model():
  return create_model(NAME, 3, **OVERRIDES)


@pytest.fixture(scope="module")
def arrays(model):
  return hashed.state_dict(shapes_of(model))


@pytest.fixture(scope="module")
def expected(model, arrays):
  return weights.load_torch_weights(arrays, model)


def assert_same(variables, expected):
  jax.tree.map(np.testing.assert_array_equal, variables, expected)


def resnet(**overrides):
  return create_model("simple_baseline_18", 3, **RESNET, **overrides)


def head_of(name):
  return bool(torch_names.HEAD.match(name))


def test_the_result_is_what_init_makes(model, expected):
  made = jax.eval_shape(
    lambda x: model.init(jax.random.key(0), x), np.zeros((1, 64, 64, 3))
  )
  assert jax.tree.structure(made) == jax.tree.structure(expected)
  for a, b in zip(
    jax.tree.leaves(made), jax.tree.leaves(expected), strict=True
  ):
    assert (a.shape, a.dtype) == (b.shape, b.dtype)


@pytest.mark.parametrize(
  "publish",
  [
    lambda d: {f"module.{name}": a for name, a in d.items()},
    lambda d: {"epoch": 3, "model": "pose_hrnet", "state_dict": d},
    lambda d: {"model": d},
    lambda d: {**d, "bn1.num_batches_tracked": np.int64(7)},
    lambda d: mmpose(d, "head"),
    lambda d: {"meta": {}, "state_dict": mmpose(d, "keypoint_head")},
    lambda d: {n: a.astype(np.float64) for n, a in d.items()},
  ],
  ids=["module", "wrapped", "model", "counters", "mm1", "mm0", "float64"],
)
def test_all_namings_give_the_same_variables(publish, model, arrays, expected):
  assert_same(weights.load_torch_weights(publish(arrays), model), expected)


def mmpose(state_dict, head):
  """Renames as mmpose 1.x (head) or 0.x (keypoint_head) does."""
  return {
    f"{head if head_of(name) else 'backbone'}.{name}": array
    for name, array in state_dict.items()
  }


def test_missing_unexpected_and_misshapen_entries_are_all_listed(model, arrays):
  broken = dict(arrays)
  del broken["bn2.running_var"], broken["layer1.0.conv1.weight"]
  broken["surprise.weight"] = np.zeros(3)
  broken["final_layer.weight"] = np.zeros((16, 4, 1, 1))
  with pytest.raises(ValueError, match="nothing was loaded") as error:
    weights.load_torch_weights(broken, model)
  message = str(error.value)
  assert "2 missing:" in message
  assert "bn2.running_var" in message
  assert "layer1.0.conv1.weight" in message
  assert "1 unexpected: surprise.weight" in message
  assert "(expected (3, 4, 1, 1), got (16, 4, 1, 1))" in message


def test_another_familys_weights_are_refused(arrays):
  with pytest.raises(ValueError, match=r"missing: .* and \d+ more"):
    weights.load_torch_weights(arrays, create_model("hourglass_small"))


def test_a_transposed_square_kernel_is_not_mistaken(expected, arrays):
  # 4 -> 4 channels: only the values can tell in from out.
  kernel = expected["params"]["stage2_0"]["branches_0_0"]["conv1"]["kernel"]
  torch_kernel = arrays["stage2.0.branches.0.0.conv1.weight"]
  assert kernel[0, 2, 1, 3] == torch_kernel[3, 1, 0, 2]


def test_lower_fusions_of_imagenet_checkpoints_are_left_out(
  model, arrays, expected, caplog
):
  extra = "stage4.0.fuse_layers.1.0.0.0.weight"
  with caplog.at_level("INFO"):
    variables = weights.load_torch_weights(
      {**arrays, extra: np.zeros((8, 4, 3, 3))}, model
    )
  assert_same(variables, expected)
  assert extra in caplog.text
  # Elsewhere such entries are needed, so their like is not waved through.
  wrong = extra.replace("stage4.0", "stage4.0.branches")
  with pytest.raises(ValueError, match="1 unexpected"):
    weights.load_torch_weights({**arrays, wrong: np.zeros(1)}, model)


def test_a_backbone_alone_needs_a_key_and_gets_a_new_head(caplog):
  model = resnet()
  whole = hashed.state_dict(shapes_of(model))
  body = {name: a for name, a in whole.items() if not head_of(name)}
  body |= {"fc.weight": np.zeros((1000, 32)), "fc.bias": np.zeros(1000)}
  with pytest.raises(ValueError, match="pass key= to initialise it"):
    weights.load_torch_weights(body, model)
  key = jax.random.key(5)
  variables = weights.load_torch_weights(body, model, key=key)
  assert "newly initialised: ['deconv_layers.0.weight'" in caplog.text
  assert "BGR" not in caplog.text
  expected = weights.load_torch_weights(whole, model)["params"]
  params = variables["params"]
  assert_same(params["layer4_0"], expected["layer4_0"])
  kernel = params["deconv_layers_0"]["kernel"]
  assert np.std(kernel) == pytest.approx(0.001, rel=0.1)  # N(0, 0.001²)
  other = weights.load_torch_weights(body, model, key=jax.random.key(6))
  assert np.any(kernel != other["params"]["deconv_layers_0"]["kernel"])


def test_half_a_head_is_refused_even_with_a_key(model, arrays):
  half = {n: a for n, a in arrays.items() if n != "final_layer.bias"}
  with pytest.raises(ValueError, match=r"1 missing: final_layer\.bias"):
    weights.load_torch_weights(half, model, key=jax.random.key(0))


def test_official_resnet_weights_warn_of_bgr(caplog, model, arrays):
  weights.load_torch_weights(arrays, model)
  assert "BGR" not in caplog.text
  entries = hashed.state_dict(shapes_of(resnet()))
  weights.load_torch_weights(mmpose(entries, "head"), resnet())
  assert "BGR" not in caplog.text
  weights.load_torch_weights(entries, resnet())
  assert "expect BGR pixels" in caplog.text


def test_channel_order_follows_the_published_recipes():
  orders = {name: weights.channel_order(name) for name in models.MODELS}
  rgb = {name for name, order in orders.items() if order == "rgb"}
  assert rgb == {"hrnet_w32", "hrnet_w48", "hrnet_small"}
  assert set(orders.values()) == {"rgb", "bgr"}
  assert weights.channel_order("simple_baseline_50", "mmpose") == "rgb"
  assert weights.channel_order("simple_baseline_50", "imagenet") == "rgb"


def test_npz_files(tmp_path, model, arrays, expected):
  path = tmp_path / "weights.npz"
  np.savez(path, **arrays)
  assert_same(weights.load_torch_weights(path, model), expected)
  assert_same(weights.load_torch_weights(str(path), model), expected)


def test_safetensors_files(tmp_path, model, arrays, expected):
  safetensors = pytest.importorskip(
    "safetensors.numpy", reason="safetensors is not installed"
  )
  path = tmp_path / "weights.safetensors"
  safetensors.save_file(arrays, path)
  assert_same(weights.load_torch_weights(path, model), expected)


@pytest.mark.parametrize("new_format", [True, False])
@pytest.mark.parametrize("half", [False, True])
def test_pth_files(tmp_path, model, arrays, expected, new_format, half):
  torch = pytest.importorskip("torch", reason="torch is not installed")
  tensors = {f"module.{n}": torch.from_numpy(a) for n, a in arrays.items()}
  if half:
    tensors = {name: t.bfloat16() for name, t in tensors.items()}
  path = tmp_path / "weights.pth"
  torch.save(
    {"state_dict": tensors, "epoch": 210},
    path,
    _use_new_zipfile_serialization=new_format,
  )
  assert (path.read_bytes()[:2] == b"PK") == new_format
  variables = weights.load_torch_weights(path, model)
  if not half:
    assert_same(variables, expected)
    return
  for a, b in zip(
    jax.tree.leaves(variables), jax.tree.leaves(expected), strict=True
  ):
    np.testing.assert_allclose(a, b, rtol=2**-8)  # bfloat16's rounding


class Bomb:
  """Writes a file when unpickled."""

  def __init__(self, path):
    self.path = path

  def __reduce__(self):
    return open, (str(self.path), "w")


def test_pickles_are_not_executed(tmp_path):
  pytest.importorskip("torch", reason="torch is not installed")
  path, trace = tmp_path / "weights.pth", tmp_path / "executed"
  path.write_bytes(pickle.dumps({"state_dict": Bomb(trace)}))
  with pytest.raises(ValueError, match="not executed"):
    torch_files.read_state_dict(path)
  np.savez(tmp_path / "weights.npz", a=np.array(Bomb(trace), object))
  with pytest.raises(ValueError, match="allow_pickle=False"):
    torch_files.read_state_dict(tmp_path / "weights.npz")
  assert not trace.exists()


@pytest.mark.parametrize("version", ["2.5.1", "1.13.1+cu117"])
def test_torch_that_executes_code_in_weights_is_refused(tmp_path, version):
  torch = pytest.importorskip("torch", reason="torch is not installed")
  path = tmp_path / "weights.pth"
  torch.save({"a": torch.zeros(1)}, path)
  with (
    mock.patch.object(torch, "__version__", version),
    pytest.raises(ValueError, match=f"before 2.6 executes.*{version[:4]}"),
  ):
    torch_files.read_state_dict(path)


@pytest.mark.parametrize("ending", [".npz", ".safetensors", ".pth"])
def test_files_that_hold_no_weights_are_refused(tmp_path, ending):
  if ending == ".pth":
    pytest.importorskip("torch", reason="torch is not installed")
  path = tmp_path / f"weights{ending}"
  path.write_bytes(b"PK\x03\x04 but not really an archive" * 3)
  with pytest.raises(ValueError, match=f"weights{ending} holds more than"):
    torch_files.read_state_dict(path)


def test_without_torch_the_error_names_the_extra(tmp_path):
  path = tmp_path / "weights.pth"
  path.write_bytes(b"")
  with (
    mock.patch.dict(sys.modules, {"torch": None}),
    pytest.raises(ImportError, match=r"npz, needs torch: .*darkjax\[torch\]"),
  ):
    torch_files.read_state_dict(path)


def test_absent_files_and_unknown_endings(tmp_path):
  with pytest.raises(FileNotFoundError, match=r"weights at .*none\.npz"):
    torch_files.read_state_dict(tmp_path / "none.npz")
  with pytest.raises(ValueError, match=r"one of \.npz.*got '\.h5'"):
    torch_files.read_state_dict(tmp_path / "weights.h5")


def test_the_command_writes_a_checkpoint(tmp_path):
  model = create_model("hourglass_small", 16)
  arrays = hashed.state_dict(shapes_of(model))
  np.savez(tmp_path / "in.npz", **arrays)
  done = commands.run(
    "models.weights",
    tmp_path / "in.npz",
    tmp_path / "out",
    "--model=hourglass_small",
    "--skeleton=mpii",
    "--crop_size=128x96",
    "--sigma=1",
  )
  assert done.returncode == 0
  variables, metadata = checkpoint.load(tmp_path / "out")
  assert_same(variables, weights.load_torch_weights(arrays, model))
  assert metadata.model == {"name": "hourglass_small", "num_keypoints": 16}
  assert metadata.convention.channel_order == "bgr"
  assert metadata.convention.crop_size == (128, 96)
  assert metadata.convention.alignment == "dark"
  assert metadata.convention.sigma == 1.0


def test_the_command_needs_two_paths(tmp_path):
  done = commands.run(
    "models.weights", tmp_path / "in.npz", "--model=hrnet_w32"
  )
  assert done.returncode == 2
  assert "two paths" in done.stderr
