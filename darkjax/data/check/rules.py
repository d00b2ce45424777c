"""Rules of a check: how severe a finding is, its text, and the fix."""

from typing import Literal

from darkjax.metrics.coco_fields import FILLED

Severity = Literal["error", "warning", "note"]
ERROR: Severity = "error"  # training refuses the data
WARNING: Severity = "warning"  # it runs, but learns or scores something wrong
NOTE: Severity = "note"  # worth knowing; every data set has a few odd labels

_LEFT_OUT = (
  "left out of training; AP counts them as missed, PCK leaves them out"
)
_BOX = "write (x, y, w, h), such as the keypoints' extent and a tenth more"
_AREA = "write the mask's area in px², or 0.53 * w * h as is average in COCO"
_SIZES = "read the other AP; or check that areas are in px² of the image"
_PAIRS = "give 'flip_pairs' in the category (pairs of names, or counted from 0)"

# Fixes of annotations that training refuses, by the rule they break.
_REFUSED = {
  "id": "number the annotations, each by another integer",
  "image": "add the images, or drop the annotations",
  "box": _BOX,
  "area": f"{_AREA}; AP(M) counts 32² to 96² px² and is -1 without any",
  "keypoints": "write x, y, visibility for each name of the category",
  "visibility": "write 0 for not labelled, 1 for hidden, 2 for visible",
  "crowd": "write 1 for a group of people, 0 for one person",
  "score": "drop the field, or write a number",
}

# What is wrong and what that does, and what to do about it; {fields} are filled
# in for each finding.
_ERRORS = {
  **{
    f"{rule}-refused": ("{share} annotations are refused; {first}", fix)
    for rule, fix in _REFUSED.items()
  },
  "json-refused": ("{error}", "correct the file; the rest is checked then"),
  "image-size-refused": (
    "no image has the 'width' or 'height' of {count} images, such as {first}",
    "write the size of the file in px, or drop both fields to have it read",
  ),
  "image-unreadable": (
    "{count} image files cannot be read; the first: {first}",
    "fetch them again, or convert them to JPEG or PNG",
  ),
  "image-size": (
    "{count} image files have another size than in the json; {first}",
    "use the files that were labelled, or scale boxes, keypoints and areas",
  ),
  "id-repeated": ("{count} annotation ids are used again", "number them anew"),
  "nobody-to-train-on": (
    "none of {total} annotations is a person with a label, a box and an area: "
    "{crowds} are crowds, {unlabelled} have no label, {unboxed} no box or area",
    "see the other findings; a file of boxes or masks only has no keypoints",
  ),
}
_WARNINGS = {
  "category-unlisted": (
    "{text}: they are left out",
    "write the ids of 'categories', of the same type, into the annotations",
  ),
  "bbox-missing": (
    f"boxes of {{share}} people are missing and taken as {FILLED['bbox']}",
    f"{_BOX}; --write=FILE does it",
  ),
  "area-missing": (
    f"areas of {{share}} people are missing and taken as {FILLED['area']}: OKS "
    "and AP depend on them",
    f"{_AREA}; --write=FILE does the latter",
  ),
  "area-of-image": (
    "areas of {share} people are those of their images: OKS and AP are far too "
    "high",
    _AREA,
  ),
  "file-name-repeated": (
    "{count} file names have several image ids: people found in one are false "
    "positives if labelled in another",
    "merge the images into one and point the annotations at its id",
  ),
  "image-turned": (
    "{count} image files are turned by EXIF (orientations: {kinds}); labels "
    "count stored pixels here, {unknown}",
    "--stored for labels of COCO's tools and detectron2, which count stored "
    "pixels; --upright (in training --config.data.upright=True) for those of "
    "browsers (Label Studio, CVAT, VIA) and Ultralytics, which turn images",
  ),
  "coordinates-normalised": (
    "keypoints of {share} people lie in 0..1, like fractions of the image",
    "multiply x by the image's width, y by its height; boxes, areas likewise",
  ),
  "labelled-at-origin": (
    "{share} labels lie at (0, 0): the network learns to point there ({most})",
    "set their visibility to 0",
  ),
  "keypoint-never-labelled": (
    "{share} keypoints are labelled in nobody and not learnt ({names})",
    "drop them from the category and from 'keypoints', or check their order",
  ),
  "box-corners": (
    "{share} boxes leave the image, and nearly all look like (x1, y1, x2, y2)",
    "write (x, y, width, height)",
  ),
  "box-without-size": (
    f"boxes of {{share}} labelled people have no width or height: {_LEFT_OUT}",
    _BOX,
  ),
  "box-outside-image": (
    f"boxes of {{share}} labelled people lie beside their image: {_LEFT_OUT}",
    "correct the boxes; (x, y) is the upper left corner in px of the image",
  ),
  "nobody-in-image": (
    f"all keypoints of {{share}} people lie outside the image: {_LEFT_OUT}",
    "correct them, or the image's size",
  ),
  "area-zero": (f"areas of {{share}} people are 0: {_LEFT_OUT}", _AREA),
  "side-without-partner": (
    "{count} keypoints are named after a side but have no partner ({names}): "
    "mirrored images train them on the wrong side",
    f"spell the two names alike but for left and right, {_PAIRS}, or set "
    "augmentation.flip_probability to 0 and evaluate.flip_test to False",
  ),
  "pair-not-recognised": (
    "names look like left and right of one another, but are not paired: "
    "{names}; mirrored images train them in each other's place",
    f"write left and right as words of their own, or {_PAIRS}; an empty list "
    "where no keypoint has a twin",
  ),
  "no-flip-pairs": (
    "no names say left and right, and the category has no 'flip_pairs': "
    "mirrored images train left and right in each other's place",
    f"{_PAIRS}; an empty list where no keypoint has a twin, as in a hand",
  ),
  "flip-pairs-against-names": (
    "the category's 'flip_pairs' do not pair what the names pair: {names}",
    "correct them (counted from 0), or drop the field to use the names",
  ),
  "pair-swapped": (
    "pairs point against the others in most people: {names}",
    "swap a pair's names in the category; of only two pairs, one is wrong",
  ),
  "sigma-far": (
    "{share} OKS sigmas differ from the known ones by a factor above {factor}, "
    "or exceed {largest}: {names}; larger ones make OKS and AP far too high",
    "write σ in units of √area, not k = 2σ or in percent; drop 'sigmas' to use "
    "the known ones, or estimate them with --repeated",
  ),
}
_NOTES = {
  "no-medium-people": ("no area is 32² to 96² px²: AP(M) will be -1", _SIZES),
  "no-large-people": ("no area is over 96² px²: AP(L) will be -1", _SIZES),
  "image-size-unknown": (
    "{count} images have no size: it is not checked that labels lie inside",
    "give --images=FOLDER to read the sizes from the files, as training does",
  ),
  "file-name-guessed": (
    "{count} image files are found by another name than the json's: "
    "{found} for {name}",
    "nothing need be done if they are the same; else correct 'file_name'",
  ),
  "image-animated": (
    "{count} image files have several frames or pages, such as {first}: the "
    "first is used",
    "nothing need be done if the labels are of it; else write each as an image",
  ),
  "keypoint-rarely-labelled": (
    "labelled in fewer than {limit} people: {names}",
    "label more of them, or do not trust what the network finds",
  ),
  "visibility-never-2": (
    "no keypoint has visibility 2: 1 counts as labelled (COCO: but hidden)",
    "write 2 for visible ones if the file is for others; here both count alike",
  ),
  "visibility-never-1": (
    "no keypoint has visibility 1: the file does not mark hidden keypoints",
    "nothing need be done: training and scoring treat 1 and 2 alike",
  ),
  "box-over-edge": (
    "boxes of {share} labelled people extend beyond their image and are cut",
    "nothing need be done; convention.clip_boxes = False keeps boxes whole",
  ),
  "area-of-box": (
    "areas of {share} people are of their boxes: OKS and AP exceed a mask's",
    "write 0.53 * w * h of the box to compare with COCO's AP",
  ),
  "several-categories": (
    "{count} categories with the same keypoints are used as one (ids {first})",
    "name one with --category to look at it alone",
  ),
  "many-people": (
    "{count} images have up to {most} people, of which COCO scores {limit}",
    "nothing need be done; PCK and the mean error count everybody",
  ),
  "person-twisted": (
    "in {share} people a pair points against the others: twisted, or swapped",
    "look at the first, clearest ones; swap labels where they are wrong",
  ),
  "sigma-default": (
    "{share} keypoints have the OKS sigma {sigma}, that of COCO's shoulders: "
    "AP is too kind to more exact points, such as those of faces and fingers",
    "give K 'sigmas' in the category, or estimate them with --repeated",
  ),
}
_BY_SHARE = {
  "image-missing": (
    "{share} image files are not in {folder}, {used} of them with annotations; "
    "of {first} {hint}",
    "fetch them, or drop the images and their annotations from the json",
  ),
  "unlabelled-with-place": (
    "{share} keypoints have coordinates and visibility 0: not trained ({most})",
    "if 0 stands for hidden, set it to 1; else nothing need be done",
  ),
  "keypoint-outside-image": (
    "{share} labelled keypoints lie outside the image ({most})",
    "set their visibility to 0; if they are many, check the image's size",
  ),
  "area-above-box": (
    "areas of {share} labelled people exceed their box: OKS is too high",
    _AREA,
  ),
  "keypoint-outside-crop": (
    "{share} labelled keypoints lie outside the crop of their box (widened to "
    "{crop}, then times {padding:g}): lost to training and scoring",
    "make boxes that hold the keypoints, or raise convention.padding",
  ),
  "num-keypoints": (
    "'num_keypoints' of {share} people is not the number of their labels; AP "
    "leaves out people where it is 0 ({hidden} with labels)",
    "drop the field to have it counted, or write how many have visibility 1, 2",
  ),
  "person-twice": (
    "{share} people are annotated twice (OKS over {oks}): they count double in "
    "training, and one of them as missed in scoring",
    "drop one of the two annotations",
  ),
  "crowd-with-labels": (
    "{share} annotations have iscrowd 1 and labels: crowds are not trained on",
    "set iscrowd to 0 where the annotation is one person",
  ),
  "person-mirrored": (
    "in {share} people triples of keypoints turn against those of the others: "
    "left and right are likely swapped",
    "look at them; left is the person's left, not the viewer's",
  ),
}

# (severity, text, fix) by rule; the severity None depends on how many are
# concerned.
RULES: dict[str, tuple[Severity | None, str, str]] = {
  **{name: (ERROR, *texts) for name, texts in _ERRORS.items()},
  **{name: (WARNING, *texts) for name, texts in _WARNINGS.items()},
  **{name: (NOTE, *texts) for name, texts in _NOTES.items()},
  **{name: (None, *texts) for name, texts in _BY_SHARE.items()},
}
