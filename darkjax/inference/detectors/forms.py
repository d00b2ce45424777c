"""Forms of detectors' outputs, as the projects' own exporters write them.

They are told by the outputs' shapes, types and, of RF-DETR, names on a run of
the network. Sources, read in 2026: YOLOX tools/export_onnx.py and
yolox/models/yolo_head.py; Ultralytics ultralytics/engine/exporter.py; YOLOv7
models/experimental.py; RT-DETR rtdetrv2_pytorch/tools/export_onnx.py and
rtdetr_postprocessor.py, D-FINE tools/inference/onnx_inf.py; RF-DETR
rfdetr/deploy/export.py; MMDeploy's detail.json of RTMDet; torchvision's
documentation of its detection models.
"""

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np

from darkjax.inference.detectors import dense, listed
from darkjax.inference.detectors.options import Fit, Order, Values
from darkjax.inference.detectors.outputs import Candidates, Input, Outputs


@dataclasses.dataclass(frozen=True)
class Form:
  """One form of outputs, and the input of the networks that have it.

  Attributes:
    networks: their names.
    outputs: shapes, for messages; B is the batch, N the number of boxes, C that
      of classes.
    match: returns the names of the outputs that `read` takes, or None.
    read: returns the candidates in these outputs.
    fit: see `Options`, for order and values too.
    order: of the channels.
    values: of the pixels.
    duplicates: whether a person may have several boxes.
    person_class: of the networks trained on COCO.
    assumed: what is said where the input may be another; "" for nothing.
  """

  networks: str
  outputs: str
  match: Callable[[Outputs, Input], Sequence[str] | None]
  read: Callable[[Sequence[np.ndarray], Input, int], Candidates]
  fit: Fit = "center"
  order: Order = "rgb"
  values: Values = "0-1"
  duplicates: bool = False
  person_class: int = 0
  assumed: str = ""


FORMS = (
  Form(
    "YOLOX",
    "[B, N, 5 + C], N cells of strides 8, 16, 32",
    dense.match_yolox,
    dense.read_yolox,
    fit="corner",
    order="bgr",
    values="0-255",
    duplicates=True,
  ),
  Form(
    "YOLOX with --decode_in_inference",
    "the same",
    dense.match_yolox_decoded,
    dense.read_with_objectness,
    fit="corner",
    order="bgr",
    values="0-255",
    duplicates=True,
  ),
  Form(
    "YOLOv5, YOLOv7",
    "[B, 3 N, 5 + C]",
    dense.match_yolov5,
    dense.read_with_objectness,
    duplicates=True,
  ),
  Form(
    "YOLOv8 and later",
    "[B, 4 + C, N]",
    dense.match_yolov8,
    dense.read_yolov8,
    duplicates=True,
  ),
  Form(
    "RF-DETR",
    "dets [B, N, 4], labels [B, N, C]",
    listed.match_rfdetr,
    listed.read_rfdetr,
    fit="stretch",
    values="imagenet",
    person_class=1,
  ),
  Form(
    "YOLO with nms=True, YOLOv10, YOLO26",
    "[B, N, 6]",
    listed.match_end_to_end,
    listed.read_end_to_end,
  ),
  Form(
    "YOLOv7 with --end2end",
    "[N, 7]",
    listed.match_yolov7,
    listed.read_yolov7,
  ),
  Form(
    "RT-DETR, D-FINE",
    "labels [B, N], boxes [B, N, 4], scores [B, N]",
    listed.match_detr,
    listed.read_detr,
    fit="stretch",
  ),
  Form(
    "torchvision",
    "boxes [N, 4], labels [N], scores [N]",
    listed.match_torchvision,
    listed.read_torchvision,
    fit="none",
    person_class=1,
  ),
  Form(
    "MMDeploy",
    "dets [B, N, 5], labels [B, N]",
    listed.match_mmdeploy,
    listed.read_mmdeploy,
    fit="corner",
    order="bgr",
    values="imagenet",
    assumed="files of MMDeploy do not say what input they take; assumed is "
    "RTMDet's (fit=corner&order=bgr&values=imagenet), others need options "
    "such as ?order=bgr&values=0-255 (YOLOX)",
  ),
)


def recognise(outputs: Outputs, given: Input) -> tuple[Form, Sequence[str]]:
  """Returns the form of outputs and the names of those that it reads.

  Raises:
    ValueError: an unknown form.
  """
  for form in FORMS:
    names = form.match(outputs, given)
    if names is not None:
      return form, names
  shapes = [f"{n} {a.dtype} {list(a.shape)}" for n, a in outputs.items()]
  height, width = given.size
  raise ValueError(
    f"it has outputs of an unknown form: {', '.join(shapes)} at an input of "
    f"{height} x {width} px; known are "
    + "; ".join(f"{form.networks}: {form.outputs}" for form in FORMS)
    + ". Pass any other detector as a function of an image"
  )
