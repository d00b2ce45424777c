"""The command as it is called, and its page in a real browser."""

import contextlib
import importlib.util
import json
import os
import shutil
import signal
import socket
import subprocess
import sys

import commands
import detector_files
import numpy as np
import PIL.Image
import ports
import pytest
from paths import ROOT

from darkjax.demo import decoders, photograph
from darkjax.inference.detectors.load import load_detector
from darkjax.inference.pose import Pose
from darkjax.predict import writers

PHOTO = ROOT / "docs" / "photographs" / "astronaut.jpg"
# (left, top, right, bottom, score, class) in the photograph's 512 x 512 px: the
# astronaut, and the rocket behind her.
PEOPLE = [[100, 20, 300, 420, 0.8, 0], [340, 0, 512, 300, 0.6, 0]]
PATIENCE = 120  # s, for a machine with other work


def test_bad_calls_are_one_line(tmp_path, monkeypatch):
  with socket.create_server(("127.0.0.1", 0)) as server:
    port = server.getsockname()[1]
    busy = commands.run("demo", f"--port={port}")
  monkeypatch.setitem(sys.modules, "gradio", None)
  for done, message in (
    (busy, f"--host=127.0.0.1 --port={port} cannot be listened to"),
    (commands.run("demo", "--host=192.0.2.1"), "name another host or port"),
    (commands.run("demo", "--port=0"), "port"),
    (commands.run("demo", "--host=nowhere.invalid"), "--host=nowhere.invalid"),
    (commands.run("demo", "a.jpg"), "given on the page, got a.jpg"),
    *(
      (
        commands.run("demo", f"--host={host}", f"--port={ports.free_port()}"),
        "the page needs gradio: pip install 'darkjax[demo]'",
      )
      for host in ("127.0.0.1", "::1")
      if ports.is_local(host)  # IPv6 may be off
    ),
  ):
    assert done.returncode == 2
    assert message in done.stderr
    assert done.stderr.count("\n") == 1


@contextlib.contextmanager
def demo(*flags, folder):
  """The command in a process; yields its address, then ends it by Ctrl-C."""
  port = ports.free_port()
  command = [sys.executable, "-m", "darkjax", "demo", f"--port={port}", *flags]
  with (
    (folder / "stderr").open("w+") as log,
    subprocess.Popen(
      command,
      env=os.environ
      | {
        "JAX_COMPILATION_CACHE_DIR": str(ROOT / ".cache" / "jax"),
        "PYTHONPATH": str(ROOT),
        "TMPDIR": str(folder),
      },
      stdout=subprocess.PIPE,
      stderr=log,
      text=True,
    ) as process,
  ):
    try:
      address = process.stdout.readline().split(" ")[0]
      assert address.startswith("http"), (folder / "stderr").read_text()
      yield address
    finally:
      process.send_signal(signal.SIGINT)
      assert process.wait(PATIENCE) == 0
  assert "Traceback" not in (folder / "stderr").read_text()


@pytest.fixture(scope="module")
def chromium():
  """A browser; skips where there is none, or nothing to drive it."""
  path = shutil.which("chromium")
  if path is None:
    pytest.skip("needs Chromium: apt-get install chromium")
  if importlib.util.find_spec("gradio") is None:
    pytest.skip("needs Gradio: pip install 'darkjax[demo]'")
  driver = pytest.importorskip(
    "playwright.sync_api", reason="needs Playwright: pip install playwright"
  )
  # Chromium's sandbox does not start for root.
  options = ["--no-sandbox"] if os.geteuid() == 0 else []
  with driver.sync_playwright() as playwright:
    browser = playwright.chromium.launch(executable_path=path, args=options)
    yield browser
    browser.close()


@pytest.fixture
def detector(tmp_path):
  boxes = np.array([PEOPLE], np.float32)  # YOLO's, after NMS
  path = tmp_path / "detector.onnx"
  detector_files.save(path, {"output": boxes}, shape=(1, 3, 512, 512))
  return str(path)


def choose(page, label, option):
  page.get_by_label(label, exact=True).click()
  page.get_by_role("option", name=option, exact=True).click()


def rows(page):
  return page.locator("#keypoints tbody tr").evaluate_all(
    "rows => rows.map(row => [...row.cells].map(cell => cell.innerText))"
  )


def wait_for(page, text):
  page.get_by_text(text).first.wait_for()


def wait_for_points(page, description):
  """Waits for a decoder's line each, as `decoders.describe` has them."""
  lines = [line for line in description.splitlines() if line.startswith("- ")]
  assert len(lines) == 3
  for line in lines:
    wait_for(page, line.removeprefix("- "))


def downloaded(page, label, path):
  with page.expect_download() as download:
    page.get_by_text(label).click()
  download.value.save_as(path)
  return path


def pixels_wide(page):
  return page.evaluate("document.documentElement.scrollWidth")


def test_a_photograph_on_the_page(chromium, detector, tmp_path):
  pose = Pose.pretrained(detector=load_detector(detector), return_heatmaps=True)
  found = photograph.find_people(pose, PHOTO)
  best = photograph.best_keypoint(found)

  def words(n, name):
    k = found.people.names.index(name)
    person = found.people[n]
    points = decoders.decode(person, k, pose.convention)
    return decoders.describe(person, k, points)

  with demo(f"--detector={detector}", folder=tmp_path) as address:
    page = chromium.new_page(viewport={"width": 1200, "height": 900})
    page.set_default_timeout(1000 * PATIENCE)
    requests = []
    page.on("request", lambda request: requests.append(request.url))
    page.goto(address)
    page.get_by_label("Keypoint", exact=True).wait_for()
    page.set_input_files("input[type=file]", PHOTO)
    wait_for(page, "2 people found.")
    expected = photograph.table(found, 0.2)
    assert rows(page) == [list(map(str, row)) for row in expected]
    wait_for_points(page, words(0, best))

    choose(page, "Keypoint", "nose")
    wait_for(page, "nose, score")
    wait_for_points(page, words(0, "nose"))
    choose(page, "Person", "2")
    wait_for_points(page, words(1, "nose"))

    number = page.get_by_role("spinbutton")
    number.fill("0.5")
    number.press("Enter")
    wait_for(page, "a score of 0.50 or more")
    fewer = photograph.table(found, 0.5)
    assert 0 < len(fewer) < len(expected)
    assert rows(page) == [list(map(str, row)) for row in fewer]

    path = downloaded(page, "Everyone as COCO json", tmp_path / "a.json")
    assert json.loads(path.read_text()) == writers.to_coco(found)
    path = downloaded(page, "Drawing as PNG", tmp_path / "a.png")
    with PIL.Image.open(path) as picture:
      assert picture.size == (512, 512)
    page.screenshot(path=tmp_path / "page.png", full_page=True)

    page.set_viewport_size({"width": 360, "height": 700})
    assert pixels_wide(page) <= 360
    (tmp_path / "no photo.jpg").write_text("text")
    page.get_by_label("Remove Image").click()
    page.get_by_text("2 people found.").wait_for(state="detached")
    page.set_input_files("input[type=file]", tmp_path / "no photo.jpg")
    wait_for(page, "Error: no photo.jpg is not an image")
    page.close()
  own = (address, "blob:", "data:")
  assert requests
  assert [url for url in requests if not url.startswith(own)] == []
  assert not list(tmp_path.glob("darkjax-demo-*"))  # what was uploaded
