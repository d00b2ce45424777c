"""Skeletons of CVAT's xml: the labels in its head.

A label of the type skeleton names no keypoints itself: its keypoints are the
labels that name it as their parent, and a drawing (svg, as text) has their
order, by `data-element-id`, and the edges between these ids.
"""

import html
import re
from xml.etree import ElementTree

from darkjax.convert.shapes import Template

_TAG = re.compile(r"<(circle|line)\b([^>]*)>")
_ATTRIBUTE = re.compile(r'([\w-]+)="([^"]*)"')


def read_templates(root: ElementTree.Element) -> dict[str, Template]:
  """Returns the keypoints and limbs of each skeleton, by its label's name.

  >>> root = ElementTree.fromstring(
  ...   "<annotations><labels><label><name>dog</name><type>skeleton</type>"
  ...   "</label><label><name>nose</name><parent>dog</parent></label></labels>"
  ...   "</annotations>")
  >>> read_templates(root)
  {'dog': Template(keypoints=('nose',), limbs=())}
  """
  labels = list(root.iterfind(".//labels/label"))
  templates = {}
  for label in labels:
    if label.findtext("type") != "skeleton":
      continue
    name = label.findtext("name") or ""
    names = [
      child.findtext("name") or ""
      for child in labels
      if child.findtext("parent") == name
    ]
    templates[name] = _template(names, label.findtext("svg") or "")
  return templates


def _template(names: list[str], svg: str) -> Template:
  elements: dict[str, str] = {}
  edges = []
  for tag, text in _TAG.findall(svg):
    fields = dict(_ATTRIBUTE.findall(text))
    if tag == "circle" and "data-label-name" in fields:
      key = fields.get("data-node-id") or fields.get("data-element-id", "")
      elements[key] = html.unescape(fields["data-label-name"]).strip()
    elif fields.get("data-type") == "edge":
      edges.append(
        (fields.get("data-node-from", ""), fields.get("data-node-to", ""))
      )
  drawn = [elements[key] for key in sorted(elements, key=_number)]
  if {*drawn} == {*names}:  # else the drawing is of another version
    names = drawn
  limbs = [
    (names.index(elements[a]), names.index(elements[b]))
    for a, b in edges
    if elements.get(a) in names and elements.get(b) in names
  ]
  return Template(tuple(names), tuple(limbs))


def _number(text: str) -> int:
  return int(text) if text.isdecimal() else 0
