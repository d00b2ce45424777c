"""The page: its parts, and what follows from what is done on it."""

import pathlib
from typing import Any

from darkjax.demo import decoders, photograph, pictures
from darkjax.inference.pose import Pose
from darkjax.predict.people import PicturePeople
from darkjax.runtime.errors import one_line

_INTRODUCTION = """# darkjax demo
People's keypoints in a photograph, and three decoders on the heatmap of one.
"""
_DECODERS = """## One keypoint, three decoders
The maximum of the heatmap (argmax), the maximum moved by a quarter of a pixel
(standard), and DARK with ellipses of one and two standard deviations.
"""
# Of the reader's system: the page asks no other server for anything.
_FONTS = {
  "font": ["system-ui", "sans-serif"],
  "font_mono": ["ui-monospace", "monospace"],
}
_STYLE = """#keypoints { max-height: 40em; overflow-y: auto; }
#keypoints table { width: 100%; border-collapse: collapse; }
#keypoints caption { text-align: left; }
#keypoints :is(th, td) {
  padding: 0.2em; text-align: left; border-bottom: 1px solid #8888;
}
#keypoints :is(th, td):nth-child(n + 3) {
  text-align: right; font-variant-numeric: tabular-nums;
}"""
_BUTTONS = ["download", "fullscreen"]  # Gradio's other one sends it to a site
_CLEANING = (600, 3600)  # s: how often, and the age of files that are deleted


class Answers:
  """What the page shows, as plain values, after each thing done on it."""

  def __init__(self, pose: Pose, folder: str, *, detector: bool):
    """Keeps what finds people.

    Args:
      pose: with `return_heatmaps`.
      folder: of the files to download.
      detector: whether the pose has one.
    """
    self._pose = pose
    self._folder = folder
    self._detector = detector
    self.names = pose.convention.skeleton.keypoint_names

  def find(self, path: str | None) -> tuple[PicturePeople | None, str]:
    """Returns a photograph's people, or None and why there is no answer."""
    if path is None:
      return None, ""
    try:
      return photograph.find_people(self._pose, path), ""
    except (OSError, ValueError) as error:
      text = one_line(error).replace(str(path), pathlib.Path(path).name)
      return None, f"**Error:** {text}"

  def show(self, found: PicturePeople | None, min_score: float) -> list[Any]:
    """Returns status, drawing, table and the drawing's file."""
    if found is None:
      return ["", None, "", None]
    drawing = photograph.draw(found, min_score)
    return [
      photograph.describe(found, min_score, detector=self._detector),
      photograph.for_page(drawing),
      photograph.to_html(photograph.table(found, min_score)),
      photograph.write_drawing(found, drawing, self._folder),
    ]

  def compare(
    self, found: PicturePeople | None, n: int | None, k: int | None
  ) -> list[Any]:
    """Returns photograph, heatmap and words of a person's keypoint."""
    if found is None or n is None or k is None or n >= len(found.people):
      return [None, None, ""]
    person = found.people[n]
    points = decoders.decode(person, k, self._pose.convention)
    return [
      *pictures.draw_keypoint(found.picture.pixels, person, k, points),
      decoders.describe(person, k, points),
    ]

  def write_json(self, found: PicturePeople | None) -> str | None:
    """Returns the path of everyone's keypoints in COCO's format."""
    return found and photograph.write_json(found, self._folder)


def build(answers: Answers, *, min_score: float) -> Any:
  """Returns the page as `gradio.Blocks`; `min_score` is where it starts."""
  import gradio as gr  # of the extra `demo`

  page = gr.Blocks(
    title="darkjax demo", analytics_enabled=False, delete_cache=_CLEANING
  )
  with page:
    gr.Markdown(_INTRODUCTION)
    found = gr.State(time_to_live=_CLEANING[1])
    with gr.Row():
      photo = gr.Image(
        label="Photograph: upload, camera or clipboard",
        type="filepath",
        image_mode=None,
        # A mirrored picture has left and right swapped.
        webcam_options=gr.WebcamOptions(mirror=False),
      )
      drawing = gr.Image(
        label="People: left orange, right blue",
        format="jpeg",
        interactive=False,
        buttons=_BUTTONS,
      )
    # Pillow's errors are for `photo.read` to explain.
    photo.preprocess = lambda payload: payload and payload.path
    status = gr.Markdown()
    score = gr.Slider(
      0.0, 1.0, min_score, step=0.01, label="Lowest score of a keypoint shown"
    )
    with gr.Row():
      json = gr.DownloadButton("Everyone as COCO json", interactive=False)
      png = gr.DownloadButton("Drawing as PNG", interactive=False)
    gr.Markdown(_DECODERS)
    with gr.Row():
      person = gr.Dropdown([], label="Person", type="index")
      keypoint = gr.Dropdown(
        answers.names, value=None, label="Keypoint", type="index"
      )
    with gr.Row():
      crop, heatmap = (
        gr.Image(label=at, format="png", interactive=False, buttons=_BUTTONS)
        for at in ("The photograph around the keypoint", "Its heatmap there")
      )
    words = gr.Markdown()
    table = gr.HTML(elem_id="keypoints")

    def file(path):
      return gr.update(value=path, interactive=path is not None)

    def show(found, min_score):
      *shown, path = answers.show(found, min_score)
      return [*shown, file(path)]

    def read(path, min_score):
      found, error = answers.find(path)
      status, *shown = show(found, min_score)
      people = found.people if found else []
      people = [str(n) for n in range(1, len(people) + 1)]
      name = found and photograph.best_keypoint(found)
      return [
        found,
        file(answers.write_json(found)),
        gr.update(choices=people, value=people[0] if people else None),
        name,
        error or status,
        *shown,
        *answers.compare(found, 0, name and answers.names.index(name)),
      ]

    shown, compared = [status, drawing, table, png], [crop, heatmap, words]
    outputs = [found, json, person, keypoint, *shown, *compared]
    photo.change(read, [photo, score], outputs)
    latest = {"trigger_mode": "always_last"}
    score.change(show, [found, score], shown, **latest)
    for choice in (person, keypoint):
      inputs = [found, person, keypoint]
      choice.input(answers.compare, inputs, compared, **latest)
  return page


def launch(page: Any, *, host: str, port: int) -> str:
  """Serves a page in a thread, to nobody but those who reach the address.

  Returns:
    The address.
  """
  import gradio as gr

  _, address, _ = page.launch(
    server_name=f"[{host}]" if ":" in host else host,  # as in addresses
    server_port=port,
    share=False,
    ssr_mode=False,
    prevent_thread_lock=True,
    quiet=True,
    show_error=True,
    footer_links=[],
    css=_STYLE,
    theme=gr.themes.Default(**_FONTS),
  )
  return address
