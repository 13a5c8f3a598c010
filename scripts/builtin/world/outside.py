"""Pictures of another world: noise, clouds, landscapes, textures. Whatever the question, the answer says that the model does not know them."""

import numpy as np
from PIL import Image, ImageFilter

from .canvas import SIZE, Canvas

REFUSAL = "I only know simple drawings, and this is not one."
MISSING = "There is no such thing in this picture."


def smooth(noise, rng, detail):
    """A random field in 0..1 of SIZE x SIZE with about so many hills a side."""
    small = Image.fromarray((noise.random((detail, detail)) * 255).astype(np.uint8))
    return np.asarray(small.resize((SIZE, SIZE), Image.BICUBIC), np.float32) / 255


def clouds(noise, rng):
    field = sum(
        smooth(noise, rng, d) / k for k, d in ((1, rng.randint(3, 6)), (2, 10), (4, 22), (8, 60))
    )
    field = (field - field.min()) / np.ptp(field)
    a, b = noise.random(3) * 255, noise.random(3) * 255
    return field[..., None] * a + (1 - field[..., None]) * b


def static(noise, rng):
    base = noise.random(3) * 255
    return base + noise.normal(
        0, rng.uniform(40, 110), (SIZE, SIZE, 3 if rng.random() < 0.7 else 1)
    )


def blobs(noise, rng):
    return np.stack([smooth(noise, rng, rng.randint(3, 9)) for _ in range(3)], -1) * 255


def stripes(noise, rng):
    y, x = np.mgrid[:SIZE, :SIZE]
    angle, period = rng.uniform(0, np.pi), rng.uniform(4, 30)
    wave = np.sin(
        (x * np.cos(angle) + y * np.sin(angle)) * 2 * np.pi / period + 4 * smooth(noise, rng, 4)
    )
    a, b = noise.random(3) * 255, noise.random(3) * 255
    return (wave[..., None] + 1) / 2 * (a - b) + b


def landscape(noise, rng):
    y = np.arange(SIZE)[:, None]
    top, bottom = (
        np.array([90, 150, 220]) + noise.normal(0, 25, 3),
        np.array([220, 220, 230]) + noise.normal(0, 20, 3),
    )
    image = (
        (1 - y / SIZE)[..., None] * top + (y / SIZE)[..., None] * bottom + np.zeros((SIZE, SIZE, 1))
    )
    level = rng.uniform(25, 60)
    for _ in range(rng.randint(2, 4)):
        ridge = level + (smooth(noise, rng, rng.randint(3, 14))[SIZE // 2] - 0.5) * 40
        color = noise.random(3) * np.array([110, 150, 110]) + 20
        ground = color + (sum(smooth(noise, rng, d) for d in (12, 50))[..., None] - 1) * 60
        image = np.where((y > ridge)[..., None], ground, image)
        level += rng.uniform(12, 28)
    return image + noise.normal(0, 5, image.shape)


def mosaic(noise, rng):
    """Regions about random points, shaded: cobbles, scales, crowds."""
    n = rng.randint(15, 70)
    points, colors = noise.random((n, 2)) * SIZE, noise.random((n, 3)) * 200 + 30
    y, x = np.mgrid[:SIZE, :SIZE]
    distance = (y[..., None] - points[:, 0]) ** 2 + (x[..., None] - points[:, 1]) ** 2
    nearest = distance.argmin(-1)
    return colors[nearest] * (1 - np.sqrt(distance.min(-1))[..., None] / 40) + noise.normal(
        0, 8, (SIZE, SIZE, 3)
    )


def outside(rng):
    noise = np.random.default_rng(rng.getrandbits(32))
    make = rng.choice([clouds, static, blobs, stripes, landscape, landscape, mosaic])
    field = make(noise, rng) + np.zeros((SIZE, SIZE, 3))
    image = Image.fromarray(field.clip(0, 255).astype(np.uint8))
    if rng.random() < 0.3:
        image = image.filter(ImageFilter.GaussianBlur(rng.uniform(0.3, 1.5)))
    if rng.random() < 0.2:
        image = image.convert("L").convert("RGB")
    if rng.random() < 0.3:
        side = rng.randint(70, SIZE)
        image = image.crop(rng.choice([(0, 0, SIZE, side), (0, 0, side, SIZE)]))
    canvas = Canvas(rng, (0, 0, 0), image.width, image.height)
    canvas.image, canvas.scale = image, 1
    return canvas
