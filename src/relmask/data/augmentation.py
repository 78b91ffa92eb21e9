"""Mild changes of pictures that leave their labels true."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional


@dataclass(frozen=True)
class Augmentation:
    """How much a picture may change; 0 and False change nothing.

    Attributes:
        turns: mirror both ways, and turn square pictures by 90 degrees, each as likely as not.
        shift: move by at most this share of the side; what comes in is reflected.
        gamma: raise to a power from exp(-gamma) to exp(gamma).
        contrast: scale the distance to the picture's mean by a factor from 1 - contrast to 1 + contrast.
        brightness: add at most this.
        noise: largest standard deviation of Gaussian noise.
        angle: degrees by which pictures with maps are turned at most, either way.
        scale: pictures with maps are scaled by a factor from exp(-scale) to exp(scale).
    """

    turns: bool = True
    shift: float = 0.04
    gamma: float = 0.15
    contrast: float = 0.15
    brightness: float = 0.08
    noise: float = 0.01
    angle: float = 15.0
    scale: float = 0.25


MILD = Augmentation()


def augment(images: Tensor, generator: torch.Generator, strength: Augmentation = MILD) -> Tensor:
    """Change each picture by its own draw.

    Strong changes of light cost more than they give where defects are faint, so the default is mild.

    Args:
        images: (N, 3, H, W) in [0, 1]; left as they are.
        generator: every draw comes from it, and from nothing else.
        strength: how much.

    Returns:
        (N, 3, H, W) in [0, 1].
    """
    return relight(move(images, generator, strength), generator, strength)


def augment_mapped(
    images: Tensor, maps: Tensor, generator: torch.Generator, strength: Augmentation = MILD
) -> tuple[Tensor, Tensor]:
    """Change each picture as `augment` does, turned and scaled too, and its map of classes along with it.

    Args:
        images: (N, 3, H, W) in [0, 1].
        maps: (N, H, W) uint8, moved with the pictures; no value is mixed with another.
        generator: every draw comes from it.
        strength: how much.
    """
    both = move(torch.cat([images, maps[:, None].to(images)], dim=1), generator, strength)
    images, values = _warped(both[:, :3], both[:, 3:], generator, strength)
    return relight(images, generator, strength), values[:, 0].round().to(maps.dtype)


def move(images: Tensor, generator: torch.Generator, strength: Augmentation = MILD) -> Tensor:
    """Mirrored, turned by right angles and shifted, each (C, H, W) by its own draw; no value is mixed."""
    moved = [_moved(image, generator, strength) for image in images]
    return torch.stack(moved) if moved else images


def relight(images: Tensor, generator: torch.Generator, strength: Augmentation = MILD) -> Tensor:
    """Images (N, 3, H, W) in [0, 1] in another light, each by its own draw."""

    def draw(limit: float) -> Tensor:
        drawn = torch.rand(len(images), generator=generator, device=generator.device) * 2 - 1
        return (drawn * limit).to(images.device, images.dtype)[:, None, None, None]

    result = images.clamp(0, 1) ** draw(strength.gamma).exp()
    mean = result.mean((1, 2, 3), keepdim=True)
    result = (result - mean) * (1 + draw(strength.contrast)) + mean + draw(strength.brightness)
    if strength.noise:
        noise = torch.randn(result.shape, generator=generator, device=generator.device)
        result = result + draw(strength.noise) * noise.to(images.device, images.dtype)
    return result.clamp(0, 1)


def _moved(image: Tensor, generator: torch.Generator, strength: Augmentation) -> Tensor:
    height, width = image.shape[1:]
    turns = torch.randint(2, (3,), generator=generator, device=generator.device).tolist()
    shifts = (torch.rand(2, generator=generator, device=generator.device) * 2 - 1).tolist()
    rows = _places(height, round(shifts[0] * strength.shift * height), image.device)
    columns = _places(width, round(shifts[1] * strength.shift * width), image.device)
    if strength.turns:
        rows = rows.flip(0) if turns[0] else rows
        columns = columns.flip(0) if turns[1] else columns
    moved = image[:, rows[:, None], columns]
    return moved.transpose(1, 2) if strength.turns and turns[2] and height == width else moved


def _warped(
    images: Tensor, maps: Tensor, generator: torch.Generator, strength: Augmentation
) -> tuple[Tensor, Tensor]:
    """Both turned and scaled about their centres, maps by the nearest place; what comes in is reflected."""
    drawn = torch.rand(2, len(images), generator=generator, device=generator.device) * 2 - 1
    angle, scale = drawn[0] * math.radians(strength.angle), (drawn[1] * strength.scale).exp()
    zero = torch.zeros_like(angle)
    rows = [angle.cos() / scale, -angle.sin() / scale, zero, angle.sin() / scale, angle.cos() / scale, zero]
    theta = torch.stack(rows, dim=1).view(-1, 2, 3).to(images)
    grid = functional.affine_grid(theta, list(images.shape), align_corners=False)
    warped = functional.grid_sample(images, grid, padding_mode="reflection", align_corners=False)
    nearest = functional.grid_sample(maps, grid, "nearest", padding_mode="reflection", align_corners=False)
    return warped, nearest


def _places(length: int, shift: int, device: torch.device) -> Tensor:
    """Where each place of a shifted line comes from; past its ends, the line is reflected."""
    places = (torch.arange(length, device=device) + shift).abs()
    return (length - 1) - ((length - 1) - places).abs()
