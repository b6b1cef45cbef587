"""A first study file for a folder of images, commented for a reader who has never seen one."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from selector.records import Scalar
from selector.spec.scalars import escape

BACKBONES = ("timm:resnet18", "timm:convnext_atto", "timm:efficientnet_b0")
_IMAGE_SIZES = (32, 64, 96, 128, 160, 192, 224)
_FEW_IMAGES = 500
_MANY_IMAGES = 20_000
_IMBALANCED = 5  # times as many images in the largest class as in the smallest
_CLASSES_SHOWN = 12


def draft_study(
    name: str,
    path: str,
    *,
    class_names: Sequence[str],
    counts: Mapping[str, int],
    image_side: int,
    backbones: Sequence[str] = BACKBONES,
    bad_images: int = 0,
) -> str:
    """The text of a study file for the images at `path`; `name` is turned into a legal one.

    `counts` gives the number of images by class, `image_side` the typical shorter side in pixels,
    `bad_images` how many cannot be decoded: whether to leave them out, the reader decides.
    """
    images = sum(counts.values())
    size = image_size_for(image_side)
    batch_sizes = _batch_sizes(images)
    augment = "[none, flip, light]" if images < _MANY_IMAGES else "[none, flip]"
    return f"""\
# {len(class_names)} classes, {images} images: {_shown(class_names, counts)}
name: {study_name(name)}

data:
  path: {_scalar(path)}{_bad(bad_images)}
  # Shares held back where the folder has no validation and test folders of its own. Validation
  # chooses the winner; test is opened once, for the winner only.
  split: {{validation: 0.15, test: 0.15}}

# What trials are ranked by. f1_macro counts every class alike, however many images it has.
metric: {{name: f1_macro, goal: maximize}}

# A list is a choice, {{log_uniform: [low, high]}} and {{int: [low, high]}} are ranges, and a bare
# value is fixed. What is left out has a default; `selector validate` prints them all.
search:
  backbone: {_flow(backbones)}
  lr: {{log_uniform: [1.0e-5, 1.0e-2]}}
  freeze_depth: {{int: [0, 5]}}  # stages kept as they are: 0 trains everything, 5 the head only
  batch_size: {_flow(batch_sizes)}
  image_size: {size}  # pixels; images are about {max(1, int(image_side))} on their shorter side
  augment: {augment}
{_training(counts)}
# The first limit reached ends the study. `time: 2h` would be one more.
budget: {{trials: 20, epochs: {_epochs(images)}}}

# A configuration you already use is tried first, so that it is in the comparison:
# start_from:
#   - {{lr: 1.0e-3, freeze_depth: 4}}
"""


def study_name(text: str) -> str:
    """`text` as a legal study name: lower case, digits, dots and dashes."""
    name = re.sub(r"[^a-z0-9._-]+", "-", text.lower()).strip("-._")
    return name[:193].rstrip("-._") or "study"


def image_size_for(image_side: int) -> int:
    """The smallest usual input size that keeps the detail of images of this side."""
    return next((size for size in _IMAGE_SIZES if size >= image_side), _IMAGE_SIZES[-1])


def _batch_sizes(images: int) -> tuple[int, ...]:
    # With few images a large batch leaves too few steps in an epoch to learn anything.
    if images < _FEW_IMAGES:
        return (8, 16, 32)
    return (16, 32, 64) if images < _MANY_IMAGES else (32, 64, 128)


def _epochs(images: int) -> int:
    return 20 if images < _FEW_IMAGES else 10 if images < _MANY_IMAGES else 5


def _bad(images: int) -> str:
    if not images:
        return ""
    return f"""
  # Images that cannot be decoded: {images}. Replace or remove them, or leave them out by this key:
  # on_bad_image: skip"""


def _training(counts: Mapping[str, int]) -> str:
    if not counts or max(counts.values()) < _IMBALANCED * max(1, min(counts.values())):
        return ""
    return """
# Some classes have far fewer images than others; `balanced` weighs their mistakes more.
training: {class_weights: balanced}
"""


def _shown(class_names: Sequence[str], counts: Mapping[str, int]) -> str:
    shown = [f"{_one_line(name)} {counts.get(name, 0)}" for name in class_names[:_CLASSES_SHOWN]]
    more = len(class_names) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more > 0 else "")


def _one_line(text: str) -> str:
    return "".join(char if char.isprintable() else "?" for char in text)


def _flow(values: Sequence[Any]) -> str:
    return f"[{', '.join(_scalar(value) for value in values)}]"


def _scalar(value: Scalar) -> str:
    """The value as YAML writes it within a line, in quotes only where they are needed."""
    if not isinstance(value, str):
        return str(value)
    if re.fullmatch(r"[A-Za-z_./][A-Za-z0-9_./-]*(?::[A-Za-z0-9_./-]+)*", value):
        return value
    return _quoted(escape(value))


def _quoted(text: str) -> str:
    escaped = (
        char if char.isprintable() and char not in '"\\' else f"\\U{ord(char):08x}" for char in text
    )
    return f'"{"".join(escaped)}"'
