"""Surfaces as a camera meets them: random relief and colour, and the light that makes a picture of both."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import fft, ndimage
from scipy.special import expit

FloatArray = NDArray[np.floating]


@dataclass(frozen=True, slots=True)
class Surface:
    """A part before it is photographed."""

    height: FloatArray  # (H, W) in pixels
    albedo: FloatArray  # (H, W, 3), share of the light that comes back, 0 to 1
    gloss: float  # strength of the mirror-like reflection, 0 to 1

    @property
    def size(self) -> int:
        """Height and width in pixels: surfaces are square."""
        return len(self.height)


def noise(
    rng: np.random.Generator, size: int, scale: float, *, stretch: float = 1.0, angle: float = 0.0
) -> FloatArray:
    """Gaussian noise (size, size), mean 0 and deviation 1, that repeats at the borders.

    Args:
        rng: source of chance.
        size: height and width in pixels.
        scale: correlation length in pixels.
        stretch: how many times longer the grain is along `angle` than across.
        angle: in radians, from the x axis.
    """
    fy, fx = _frequencies(size)
    along = np.cos(angle) * fx + np.sin(angle) * fy
    across = np.cos(angle) * fy - np.sin(angle) * fx
    gain = np.exp(-2 * (np.pi * scale) ** 2 * ((stretch * along) ** 2 + across**2))
    return _shaped(rng, size, gain)


def fractal(rng: np.random.Generator, size: int, exponent: float = 1.2) -> FloatArray:
    """Noise without a scale of its own: amplitude falls as frequency^-exponent; mean 0, deviation 1."""
    fy, fx = _frequencies(size)
    return _shaped(rng, size, np.hypot(fx, fy).clip(1 / size) ** -exponent)


@lru_cache(maxsize=8)
def _frequencies(size: int) -> tuple[FloatArray, FloatArray]:
    fy = fft.fftfreq(size).astype(np.float32)[:, None]
    fx = fft.rfftfreq(size).astype(np.float32)[None, :]
    return fy, fx


def _shaped(rng: np.random.Generator, size: int, gain: FloatArray) -> FloatArray:
    spectrum = fft.rfft2(rng.standard_normal((size, size), dtype=np.float32)) * gain
    spectrum[0, 0] = 0
    field: FloatArray = fft.irfft2(spectrum, s=(size, size)).astype(np.float32)
    field /= field.std()
    return field


def tinted(grey: FloatArray, colour: tuple[float, float, float]) -> FloatArray:
    """Albedo (H, W, 3) of a grey map (H, W) in one colour, whose mean keeps the map's brightness."""
    tint = np.asarray(colour, np.float32)
    albedo: FloatArray = (grey[..., None] * tint / tint.mean()).clip(0.02, 0.98).astype(np.float32)
    return albedo


def brushed(rng: np.random.Generator, size: int) -> Surface:
    """Metal with fine parallel brush marks."""
    angle = rng.uniform(0, np.pi)
    marks = noise(rng, size, 0.6, stretch=40, angle=angle) + 0.5 * noise(
        rng, size, 1.8, stretch=25, angle=angle
    )
    grey = rng.uniform(0.42, 0.58) + 0.035 * marks + 0.02 * fractal(rng, size)
    return Surface(0.10 * marks, tinted(grey, _near(rng, (1.0, 1.0, 1.03), 0.03)), 0.35)


def cast(rng: np.random.Generator, size: int) -> Surface:
    """Sand-cast metal: dark and grainy."""
    grain = np.abs(noise(rng, size, rng.uniform(1.0, 1.6))) + 0.5 * np.abs(noise(rng, size, 2.6))
    grey = rng.uniform(0.34, 0.46) + 0.03 * fractal(rng, size) + 0.02 * grain
    return Surface(0.28 * grain, tinted(grey, _near(rng, (1.0, 0.99, 0.97), 0.03)), 0.18)


def concrete(rng: np.random.Generator, size: int) -> Surface:
    """Concrete: blotchy, sandy, with grains of aggregate."""
    sand, blotch = noise(rng, size, 0.7), fractal(rng, size, 1.5)
    aggregate = (noise(rng, size, 1.4) - 1.9).clip(0)
    grey = rng.uniform(0.48, 0.62) + 0.05 * blotch + 0.025 * sand - 0.12 * aggregate
    return Surface(0.12 * sand + 0.3 * blotch, tinted(grey, _near(rng, (1.03, 1.0, 0.95), 0.03)), 0.0)


def leather(rng: np.random.Generator, size: int) -> Surface:
    """Leather: soft pebbles between creases."""
    scale = rng.uniform(1.6, 2.2)
    pebble = np.tanh(0.9 * np.hypot(noise(rng, size, scale), noise(rng, size, scale)))
    grey = rng.uniform(0.36, 0.48) + 0.06 * pebble + 0.02 * fractal(rng, size)
    return Surface(1.1 * pebble, tinted(grey, _near(rng, (1.25, 0.98, 0.75), 0.12)), 0.2)


def fabric(rng: np.random.Generator, size: int) -> Surface:
    """Plain weave, a little out of true."""
    y, x = np.mgrid[:size, :size].astype(np.float32)
    angle, period = rng.uniform(0, np.pi / 2), rng.uniform(4.5, 6.5)
    u = np.cos(angle) * x + np.sin(angle) * y + 0.7 * noise(rng, size, 12)
    v = np.cos(angle) * y - np.sin(angle) * x + 0.7 * noise(rng, size, 12)
    warp, weft = np.sin(2 * np.pi * u / period), np.sin(2 * np.pi * v / period)
    yarn = (np.maximum(warp * np.sign(weft), 0.6 * np.abs(weft)) + 0.15 * noise(rng, size, 0.8)).astype(
        np.float32
    )
    grey = rng.uniform(0.36, 0.52) + 0.05 * yarn + 0.02 * fractal(rng, size)
    return Surface(0.45 * yarn, tinted(grey, _near(rng, (0.85, 0.98, 1.15), 0.15)), 0.0)


def painted(rng: np.random.Generator, size: int) -> Surface:
    """Glossy paint with its orange peel."""
    peel = noise(rng, size, 2.4)
    grey = rng.uniform(0.38, 0.56) + 0.015 * fractal(rng, size) + 0.006 * noise(rng, size, 0.6)
    colours = ((0.75, 0.95, 1.2), (1.2, 0.95, 0.8), (0.9, 1.1, 0.9), (1.0, 1.0, 1.0))
    return Surface(0.09 * peel, tinted(grey, _near(rng, colours[rng.integers(len(colours))], 0.06)), 0.5)


TEXTURES: Mapping[str, Callable[[np.random.Generator, int], Surface]] = {
    "brushed": brushed,
    "cast": cast,
    "concrete": concrete,
    "leather": leather,
    "fabric": fabric,
    "painted": painted,
}


def photograph(
    surface: Surface, rng: np.random.Generator, *, blur: float = 0.6, grain: float = 0.012
) -> FloatArray:
    """A picture (H, W, 3) in [0, 1] of a surface under light from one side.

    Uneven light, a soft shadow in every third picture, vignetting, a lens that is not perfectly sharp, and a
    sensor whose noise grows with the light.
    """
    light = _light(rng)
    dy, dx = np.gradient(surface.height)
    length = np.sqrt(dx**2 + dy**2 + 1)
    facing = ((light[2] - dx * light[0] - dy * light[1]) / length).clip(0)
    middle = light + np.array([0, 0, 1])
    middle /= np.linalg.norm(middle)
    mirror = ((middle[2] - dx * middle[0] - dy * middle[1]) / length).clip(0) ** 40
    lit = surface.albedo * (0.35 + 0.75 * facing)[..., None] + 0.22 * surface.gloss * mirror[..., None]
    lit = lit * illumination(rng, surface.size)[..., None]
    lit = ndimage.gaussian_filter(lit, (blur, blur, 0))
    lit = lit + grain * np.sqrt(lit.clip(0.02)) * rng.standard_normal(lit.shape, dtype=np.float32)
    exposed = rng.uniform(0.36, 0.5) / np.median(lit) * lit
    picture: FloatArray = (exposed.clip(0) ** 0.85).clip(0, 1).astype(np.float32)
    return picture


def illumination(rng: np.random.Generator, size: int) -> FloatArray:
    """Relative brightness (size, size) of the light: slope, bright spot, vignetting, at times a shadow."""
    y, x = np.mgrid[-1 : 1 : size * 1j, -1 : 1 : size * 1j].astype(np.float32)
    angle = rng.uniform(0, 2 * np.pi)
    field = 1 + rng.uniform(0.05, 0.22) * (np.cos(angle) * x + np.sin(angle) * y)
    cx, cy = rng.uniform(-0.8, 0.8, 2)
    field += rng.uniform(0, 0.25) * np.exp(-2 * ((x - cx) ** 2 + (y - cy) ** 2))
    field *= 1 - rng.uniform(0.05, 0.18) * (x**2 + y**2)
    if rng.random() < 0.35:
        field *= _shadow(rng, x, y)
    brightness: FloatArray = field.astype(np.float32)
    return brightness


def _shadow(rng: np.random.Generator, x: FloatArray, y: FloatArray) -> FloatArray:
    angle, softness = rng.uniform(0, 2 * np.pi), rng.uniform(0.04, 0.15)
    side = np.cos(angle) * x + np.sin(angle) * y + 0.2 * (np.cos(angle) * y - np.sin(angle) * x) ** 2
    shade = expit((side - rng.uniform(0.1, 0.8)) / softness)
    darkened: FloatArray = 1 - rng.uniform(0.25, 0.5) * shade
    return darkened


def _light(rng: np.random.Generator) -> NDArray[np.float64]:
    angle, elevation = rng.uniform(0, 2 * np.pi), rng.uniform(0.6, 1.1)
    return np.array([np.cos(angle) * np.cos(elevation), np.sin(angle) * np.cos(elevation), np.sin(elevation)])


def _near(
    rng: np.random.Generator, colour: tuple[float, float, float], spread: float
) -> tuple[float, float, float]:
    red, green, blue = np.asarray(colour) * (1 + rng.uniform(-spread, spread, 3))
    return float(red), float(green), float(blue)
