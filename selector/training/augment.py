"""Augmentation presets, batch-wise on the device of the images.

Random numbers are drawn on the CPU, so that a seed means the same views on every device. Images are
normalised ones: one unit is about a quarter of the range of a pixel, and 0 is the average colour.

`none` and `flip` show enumerated views: a sample looks like one of a fixed, small number of images,
and which one follows from sample and epoch. What frozen stages make of them can be kept. The other
presets draw a view that never comes again.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from selector.errors import UnknownNameError
from selector.training.transfer import send

_NAMES = ("none", "flip", "light", "trivial", "strong")
_ENUMERATED = {"none": 1, "flip": 2}

CROP_SHARE = 8  # images are shifted by up to size / 8
ERASE_CHANCE = 0.5
ERASE_SIDES = (0.15, 0.45)  # of the image's sides
JITTER = 0.4  # largest change of brightness (in units), contrast and saturation (as a factor)
ROTATION = 0.5  # radians, largest
SHEAR = 0.3
SHIFT = 0.25  # of half the image
BRIGHTNESS = 1.5  # units
CONTRAST = 0.7  # as a factor

# What `trivial` chooses from, one for each image.
_OPERATIONS = (
    "identity",
    "rotate",
    "shear_x",
    "shear_y",
    "shift_x",
    "shift_y",
    "brighten",
    "contrast",
)


def names() -> tuple[str, ...]:
    """The presets, mildest first."""
    return _NAMES


def enumerated_views(name: str) -> int | None:
    """How many views of a sample the preset shows over all epochs; None where it draws them."""
    return _ENUMERATED.get(name)


def view_of(name: str, indices: Tensor, *, epoch: int) -> Tensor:
    """Which enumerated view (batch,) of the samples `indices` (batch,) this epoch shows."""
    return _mirrored(epoch, indices) if name == "flip" else torch.zeros_like(indices)


def view(images: Tensor, number: int) -> Tensor:
    """One enumerated view of all images: 0 is the images as they are, 1 mirrors them."""
    return images.flip(3) if number else images


def apply(
    name: str, images: Tensor, *, generator: torch.Generator, epoch: int, indices: Tensor
) -> Tensor:
    """A view of each image: float (batch, channels, height, width) in and out.

    `generator` is a CPU one; `indices` (batch,) tells which sample each image is, because mirrored
    views alternate by sample and epoch instead of being drawn.
    """
    match name:
        case "none":
            return images
        case "flip":
            return _flip(images, epoch=epoch, indices=indices)
        case "light":
            return _flip(_crop(images, generator), epoch=epoch, indices=indices)
        case "trivial":
            return _one_operation(_flip(images, epoch=epoch, indices=indices), generator)
        case "strong":
            cropped = _flip(_crop(images, generator), epoch=epoch, indices=indices)
            return _erase(_jitter(cropped, generator), generator)
        case _:
            raise UnknownNameError("augmentation", name, _NAMES)


# --- moving pixels ------------------------------------------------------------------------------


def _flip(images: Tensor, *, epoch: int, indices: Tensor) -> Tensor:
    """Every sample mirrored in every second epoch: both views are seen equally often.

    About half of the samples start mirrored (after Jordan, 2024: alternating beats random flips).
    """
    mirrored = send(_mirrored(epoch, indices).bool(), images.device)
    return torch.where(mirrored.view(-1, 1, 1, 1), images.flip(3), images)


def _mirrored(epoch: int, indices: Tensor) -> Tensor:
    """1 for every sample that this epoch shows mirrored, else 0."""
    # The middle bits of a multiplicative hash, so that neighbours in a sorted folder differ.
    start = (indices.to(torch.int64) * 2654435761 >> 16) & 1
    return (start + epoch) & 1


def _crop(images: Tensor, generator: torch.Generator) -> Tensor:
    """Every image shifted by up to an eighth of its size, the border filled by reflection."""
    batch, _, height, width = images.shape
    rows = send(_shifted(height, batch, generator), images.device)
    columns = send(_shifted(width, batch, generator), images.device)
    which = torch.arange(batch, device=images.device).view(-1, 1, 1)
    pixels = images.permute(0, 2, 3, 1)[which, rows.unsqueeze(2), columns.unsqueeze(1)]
    return pixels.permute(0, 3, 1, 2)


def _shifted(size: int, batch: int, generator: torch.Generator) -> Tensor:
    """For each image the source position of every row (or column): (batch, size)."""
    reach = size // CROP_SHARE
    shift = torch.randint(-reach, reach + 1, (batch, 1), generator=generator)
    position = (torch.arange(size) + shift).abs()
    last = size - 1
    return last - (last - position).abs()


def _erase(images: Tensor, generator: torch.Generator) -> Tensor:
    """A random rectangle of the average colour in half of the images (Zhong et al., 2020)."""
    batch, _, height, width = images.shape
    rows = send(_band(height, batch, generator), images.device).view(batch, 1, height, 1)
    columns = send(_band(width, batch, generator), images.device).view(batch, 1, 1, width)
    chosen = send(torch.rand(batch, generator=generator) < ERASE_CHANCE, images.device)
    hole = rows & columns & chosen.view(batch, 1, 1, 1)
    # Averages over channels lose the memory order.
    return images.masked_fill(hole, 0.0).contiguous(memory_format=torch.channels_last)


def _band(size: int, batch: int, generator: torch.Generator) -> Tensor:
    """For each image a random stretch of rows (or columns), as a mask (batch, size)."""
    low, high = ERASE_SIDES
    share = low + (high - low) * torch.rand(batch, 1, generator=generator)
    length = (share * size).round().clamp(min=1)
    start = (torch.rand(batch, 1, generator=generator) * (size - length + 1)).floor()
    position = torch.arange(size)
    return (position >= start) & (position < start + length)


# --- colours ------------------------------------------------------------------------------------


def _jitter(images: Tensor, generator: torch.Generator) -> Tensor:
    """Brightness, contrast and saturation of every image changed a little."""
    brightness, contrast, saturation = (
        _like(images, _symmetric(len(images), JITTER, generator)).view(-1, 1, 1, 1)
        for _ in range(3)
    )
    grey = images.mean(dim=1, keepdim=True)
    images = grey + (images - grey) * (1 + saturation)
    mean = images.mean(dim=(1, 2, 3), keepdim=True)
    return mean + (images - mean) * (1 + contrast) + brightness


# --- one operation for each image ---------------------------------------------------------------


def _one_operation(images: Tensor, generator: torch.Generator) -> Tensor:
    """One operation of random strength for each image (after Müller and Hutter, 2021)."""
    batch = len(images)
    operation = torch.randint(len(_OPERATIONS), (batch,), generator=generator)
    strength = _symmetric(batch, 1.0, generator)
    amount = {name: strength * (operation == i) for i, name in enumerate(_OPERATIONS)}
    grid = F.affine_grid(_like(images, _affine(amount)), list(images.shape), align_corners=False)
    moved = F.grid_sample(images, grid, padding_mode="reflection", align_corners=False)
    mean = moved.mean(dim=(1, 2, 3), keepdim=True)
    contrast = _like(images, 1 + CONTRAST * amount["contrast"]).view(-1, 1, 1, 1)
    brightness = _like(images, BRIGHTNESS * amount["brighten"]).view(-1, 1, 1, 1)
    out = mean + (moved - mean) * contrast + brightness
    return out.contiguous(memory_format=torch.channels_last)


def _affine(amount: dict[str, Tensor]) -> Tensor:
    """Where each output pixel comes from, as matrices (batch, 2, 3); no movement at amount 0."""
    angle = ROTATION * amount["rotate"]
    across = [angle.cos(), SHEAR * amount["shear_x"] - angle.sin(), SHIFT * amount["shift_x"]]
    down = [SHEAR * amount["shear_y"] + angle.sin(), angle.cos(), SHIFT * amount["shift_y"]]
    return torch.stack([torch.stack(across, dim=1), torch.stack(down, dim=1)], dim=1)


def _symmetric(batch: int, largest: float, generator: torch.Generator) -> Tensor:
    """Random numbers (batch,) in -largest..largest."""
    return (torch.rand(batch, generator=generator) * 2 - 1) * largest


def _like(images: Tensor, numbers: Tensor) -> Tensor:
    """Random numbers on the device of the images, in their number format."""
    return send(numbers, images.device).to(images.dtype)
