"""Releases by name: folders, a hub's cache without a network, and a hub."""

import http.server
import json
import os
import subprocess
import sys
import threading

import colours
import jax
import numpy as np
import pytest
from paths import ROOT

from darkjax import checkpoint, models
from darkjax.checkpoint import hub
from darkjax.inference.pose import Pose

CONVENTION = colours.make_convention(crop_size=(64, 32), heatmap_size=(16, 8))
COMMIT, OLD = "a" * 40, "0123456789" * 4
MODEL = {
  "name": "hrnet_small",
  "num_keypoints": 3,
  "channels": 4,
  "stem_features": 4,
  "stage1_features": 4,
  "modules": (1,),
  "blocks": 1,
}
# Finds each repository and prints where, or how it failed. In a process of its
# own: huggingface_hub reads its environment when it is imported.
CODE = """
import json, sys
from darkjax.checkpoint import hub

def find(name, revision):
  try:
    return str(hub.find(name, revision))
  except Exception as error:
    return [type(error).__name__, str(error)]

print(json.dumps([find(*case) for case in json.loads(sys.argv[1])]))
"""


def find_all(cases, **environment):
  pytest.importorskip("huggingface_hub")
  kept = {n: v for n, v in os.environ.items() if not n.startswith("HF_")}
  path = {"PYTHONPATH": str(ROOT), "no_proxy": "*", "HF_HUB_DISABLE_XET": "1"}
  done = subprocess.run(
    [sys.executable, "-W", "ignore", "-c", CODE, json.dumps(cases)],
    env=kept | path | environment,
    capture_output=True,
    text=True,
  )
  assert done.returncode == 0, done.stderr
  return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def release(tmp_path_factory):
  model = models.create_model(**MODEL)
  images = np.zeros((1, 64, 32, 3), np.float32)
  variables = jax.jit(model.init)(jax.random.key(0), images)
  folder = tmp_path_factory.mktemp("release") / "tiny"
  metadata = checkpoint.Metadata(CONVENTION, MODEL, {})
  checkpoint.save_release(
    folder, variables, metadata, licence="MIT", metrics={}
  )
  return folder


def lay_out(cache, release, *, repository="user/tiny", files=None):
  """Writes a repository into a cache as huggingface_hub does, with links."""
  folder = cache / f"models--{repository.replace('/', '--')}"
  for commit, references in ((COMMIT, ("main", "v2")), (OLD, ("v1",))):
    snapshot = folder / "snapshots" / commit
    snapshot.mkdir(parents=True)
    for path in release.iterdir():
      if files is None or path.name in files:
        blob = folder / "blobs" / f"{commit}-{path.name}"
        blob.parent.mkdir(exist_ok=True)
        blob.write_bytes(path.read_bytes())
        (snapshot / path.name).symlink_to(blob)
    for reference in references:
      (folder / "refs").mkdir(exist_ok=True)
      (folder / "refs" / reference).write_text(commit)
  return folder


def test_folders_and_files_come_first(release, tmp_path, monkeypatch):
  assert hub.find(release) == release
  assert hub.find(release / "model.safetensors").is_file()
  # A relative path may have the form of a repository.
  monkeypatch.chdir(release.parent.parent)
  name = f"{release.parent.name}/tiny"
  assert hub.find(name).samefile(release)
  with pytest.raises(ValueError, match="has no revisions, got 'v1'"):
    hub.find(name, "v1")


@pytest.mark.parametrize("name", ["nowhere", "a/b/c", "/no/where", "a/"])
def test_other_names_are_no_repositories(name, tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  with pytest.raises(FileNotFoundError, match="no folder of weights"):
    hub.find(name)


def test_a_missing_extra_is_named(monkeypatch):
  monkeypatch.setitem(sys.modules, "huggingface_hub", None)
  with pytest.raises(ImportError, match=r"pip install 'darkjax\[hub\]'"):
    Pose.from_pretrained("user/tiny")


def test_the_cache_serves_without_a_network(release, tmp_path):
  folder = lay_out(tmp_path, release)
  lay_out(tmp_path, release, repository="user/half", files={"config.json"})
  cases = {
    ("user/tiny", None): COMMIT,
    ("user/tiny", "v1"): OLD,
    ("user/tiny", OLD): OLD,
    ("user/tiny", "v3"): "config.json of user/tiny at v3 is not in the cache",
    ("user/tiny", "b" * 40): f"at {'b' * 40} is not in the cache",
    ("user/none", None): "config.json of user/none at main is not in the cache",
    ("user/half", None): "model.safetensors of user/half at main is not in",
  }
  found = find_all([*cases], HF_HUB_CACHE=str(tmp_path), HF_HUB_OFFLINE="1")
  for case, expected, result in zip(cases, cases.values(), found, strict=True):
    if len(expected) == 40:
      assert result == str(folder / "snapshots" / expected), case
    else:
      kind, message = result
      assert kind == "RuntimeError", case
      assert expected in message, case
      assert str(tmp_path) in message
      assert "HF_HUB_OFFLINE forbids" in message
      assert "\n" not in message
  # What was found is read, and finds people.
  pose = Pose.from_pretrained(found[0])
  assert pose.convention == CONVENTION
  # A damaged file of the cache is named like one of a folder.
  blob = folder / "blobs" / f"{COMMIT}-model.safetensors"
  blob.write_bytes(blob.read_bytes()[:-7])
  with pytest.raises(ValueError, match=rf"{COMMIT}/model\.saf.* is damaged"):
    Pose.from_pretrained(found[0])


# Statuses and codes of repositories that cannot be read.
ERRORS = {
  "user/gone": (404, "RepoNotFound"),
  "user/old": (404, "RevisionNotFound"),
  "user/other": (404, "EntryNotFound"),
  "user/gated": (403, "GatedRepo"),
  "user/odd": (418, ""),
}


class Hub(http.server.BaseHTTPRequestHandler):
  """As much of a hub as downloads need; `release` has the files."""

  def answer(self, send: bool):
    repository, _, rest = self.path.strip("/").partition("/resolve/")
    data, status = b"", 404
    if repository in ERRORS:
      status, code = ERRORS[repository]
      self.send_response(status)
      self.send_header("X-Error-Code", code)
    elif repository == "user/tiny":
      data = (self.server.release / rest.partition("/")[2]).read_bytes()
      self.send_response(200)
      self.send_header("ETag", f'"{len(data)}"')
    else:
      self.send_response(status)
    self.send_header("X-Repo-Commit", COMMIT)
    self.send_header("Content-Length", str(len(data)))
    self.end_headers()
    if send:
      self.wfile.write(data)

  def do_HEAD(self):
    self.answer(send=False)

  def do_GET(self):
    self.answer(send=True)

  def log_message(self, *_):
    pass


@pytest.fixture
def endpoint(release):
  server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hub)
  server.release = release
  thread = threading.Thread(target=server.serve_forever)
  thread.start()
  yield f"http://127.0.0.1:{server.server_port}"
  server.shutdown()
  thread.join()
  server.server_close()


def test_a_hub_s_answers_are_one_line(endpoint, release, tmp_path):
  cases = {
    ("user/gone", None): ("FileNotFoundError", "no such repository on the hub"),
    ("user/old", "v9"): ("FileNotFoundError", "user/old has no revision v9;"),
    ("user/other", None): (
      "FileNotFoundError",
      "user/other at main has no config.json: it is not a release",
    ),
    ("user/gated", None): ("RuntimeError", "accept its terms"),
    ("user/odd", None): ("RuntimeError", "config.json of user/odd at main"),
    ("user/--odd..name", None): ("RuntimeError", "of user/--odd..name at main"),
    ("user/tiny", None): None,
  }
  found = find_all(
    [*cases], HF_HUB_CACHE=str(tmp_path), HF_ENDPOINT=endpoint, HF_TOKEN=""
  )
  for case, expected, result in zip(cases, cases.values(), found, strict=True):
    if expected:
      kind, message = result
      assert kind == expected[0], (case, result)
      assert expected[1] in message, case
      assert "\n" not in message
  downloaded = tmp_path / "models--user--tiny" / "snapshots" / COMMIT
  assert found[-1] == str(downloaded)
  for path in release.iterdir():
    assert (downloaded / path.name).read_bytes() == path.read_bytes()


def test_the_cache_serves_where_the_hub_is_unreachable(release, tmp_path):
  lay_out(tmp_path, release)
  # Nothing listens there.
  environment = {"HF_ENDPOINT": "http://127.0.0.1:9"}
  (found,) = find_all(
    [("user/tiny", None)], HF_HUB_CACHE=str(tmp_path), **environment
  )
  assert found.endswith(COMMIT)


def test_an_unreachable_hub_is_named(monkeypatch):
  huggingface_hub = pytest.importorskip("huggingface_hub")
  errors = pytest.importorskip("huggingface_hub.errors")

  # What it raises after half a minute of tries.
  def download(*_, **__):
    raise errors.LocalEntryNotFoundError("several\nlines")

  monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)
  monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
  with pytest.raises(RuntimeError, match="and the hub cannot be reached"):
    hub.find("user/none")


def test_both_files_are_of_one_commit(monkeypatch, tmp_path):
  """Also where the branch moves between the two downloads."""
  huggingface_hub = pytest.importorskip("huggingface_hub")
  asked = []

  def download(repository, file, *, revision):
    asked.append((repository, file, revision))
    return str(tmp_path / COMMIT / file)

  monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)
  assert hub.find("user/tiny", "v1") == tmp_path / COMMIT
  assert asked == [
    ("user/tiny", "config.json", "v1"),
    ("user/tiny", "model.safetensors", COMMIT),
  ]
