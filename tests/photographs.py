"""Photographs, scans and drawings of digits, made from images as MNIST has them.

Each kind takes the ink of one digit, shape (28, 28), from 0 to 1, and what draws all that varies,
and returns the bytes of a picture file.
"""

import io
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

SIDE = 28

Array = NDArray[np.float64]
Kind = Callable[[Array, Generator], bytes]


def enlarge(digit: Array, size: int) -> Array:
    """Return a digit as a pen draws it, shape (size, size), with edges as sharp as at 28 x 28."""
    smooth = ndimage.zoom(digit, size / SIDE, order=3, mode="grid-constant", grid_mode=True)
    return np.clip((smooth - 0.5) * 3 + 0.5, 0, 1)


def lay(
    digit: Array,
    draw: Generator,
    share: tuple[float, float] = (0.45, 0.85),
    shape: tuple[int, int] | None = None,
    change: Callable[[Array], Array] = lambda ink: ink,
) -> Array:
    """Return a digit's ink, enlarged and changed, at some place of a sheet of some shape.

    `share` is the least and the greatest side of its square, of the sheet's shorter side.
    """
    shape = shape or (int(draw.integers(300, 800)), int(draw.integers(300, 800)))
    size = round(min(shape) * draw.uniform(*share))
    top, left = (int(draw.integers(0, side - size + 1)) for side in shape)
    ink = np.zeros(shape)
    ink[top : top + size, left : left + size] = change(enlarge(digit, size))
    return ink


def paper(draw: Generator) -> Array:
    return draw.uniform(215, 250) + draw.uniform(-12, 5, 3)


def pen(draw: Generator) -> Array:
    return draw.uniform(20, 90) + draw.uniform(-10, 10, 3)


def paint(ink: Array, below: Array, colour: Array) -> Array:
    """Return colours, shape (height, width, 3): ink of one colour on what is below it."""
    share = ink[..., np.newaxis]
    return below * (1 - share) + colour * share


def written(ink: Array, draw: Generator) -> Array:
    """Return the colours of ink on paper."""
    return paint(ink, paper(draw), pen(draw))


def take(colours: Array, draw: Generator) -> Image.Image:
    """Return what a camera makes of a scene: a little blurred, with noise."""
    sharp = draw.uniform(0.3, 1.2)
    blurred = ndimage.gaussian_filter(colours, (sharp, sharp, 0))
    noisy = blurred + draw.normal(0, draw.uniform(1, 5), blurred.shape)
    return Image.fromarray(np.rint(noisy.clip(0, 255)).astype(np.uint8))


def pack(picture: Image.Image, kind: str = "JPEG", **options: object) -> bytes:
    file = io.BytesIO()
    picture.save(file, format=kind, **options)
    return file.getvalue()


def shoot(ink: Array, draw: Generator) -> bytes:
    """Return a photograph of ink on plain paper."""
    return pack(take(written(ink, draw), draw), quality=int(draw.integers(60, 95)))


def shadow(digit: Array, draw: Generator) -> bytes:
    ink = lay(digit, draw)
    down, across = (axis / max(ink.shape) for axis in np.indices(ink.shape))
    angle, where = draw.uniform(0, 2 * np.pi), draw.uniform(0.3, 0.7)
    along = np.cos(angle) * (across - 0.5) + np.sin(angle) * (down - 0.5)
    edge = 1 / (1 + np.exp((along - where + 0.5) / 0.04))
    light = (1 - 0.3 * edge) * (1 - 0.4 * np.abs(along))
    return pack(take(written(ink, draw) * light[..., np.newaxis], draw))


def ruled(digit: Array, draw: Generator, directions: Sequence[int]) -> bytes:
    """Return a photograph of paper with lines along some axes, and ink."""
    ink = lay(digit, draw)
    size = max(ink.shape)
    step, breadth = size * draw.uniform(0.05, 0.1), max(size * 0.004, 1)
    lines = np.zeros(ink.shape)
    for axis in directions:
        place = np.indices(ink.shape)[axis] + draw.uniform(0, step)
        lines = np.maximum(lines, place % step < breadth)
    printed = paint(lines, paper(draw), np.array([150, 175, 215.0]) + draw.uniform(-20, 20))
    return pack(take(paint(ink, printed, pen(draw)), draw))


def corner(digit: Array, draw: Generator) -> bytes:
    part = lay(digit, draw, (0.7, 0.9), (200, 220))
    sides = [[(10, 400), (400, 10)][int(draw.integers(2))] for _ in part.shape]
    return shoot(np.pad(part, sides), draw)


def on_table(scene: Array, table: Array, draw: Generator) -> bytes:
    """Return a photograph of a sheet that lies on a table, a little turned, and perhaps cut."""
    height, width = (round(side / draw.uniform(0.55, 0.85)) for side in scene.shape[:2])
    angle = np.deg2rad(draw.uniform(-10, 10))
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    middle = np.array([height * draw.uniform(0.4, 0.6), width * draw.uniform(0.4, 0.6)])
    start = np.array(scene.shape[:2]) / 2 - turn @ middle
    layers = [*np.moveaxis(scene, 2, 0), np.ones(scene.shape[:2])]
    moved = np.dstack(
        [ndimage.affine_transform(one, turn, start, (height, width), order=1) for one in layers]
    )
    cover = moved[..., 3:]
    fallen = 1 - 0.4 * ndimage.gaussian_filter(cover, (6, 6, 0)) * (1 - cover)
    return pack(take(moved[..., :3] + table[:height, :width] * fallen * (1 - cover), draw))


def dark_table(digit: Array, draw: Generator) -> bytes:
    scene = written(np.pad(lay(digit, draw), 50), draw)
    colour = draw.choice(np.array([[110, 75, 45], [60, 55, 50], [140, 110, 80.0]]))
    grain = ndimage.gaussian_filter(draw.normal(0, 1, (1800, 1800)), (1, 40))
    return on_table(scene, colour * (1 + 0.08 * grain / grain.std())[..., np.newaxis], draw)


def light_table(digit: Array, draw: Generator) -> bytes:
    sheet = draw.choice(np.array([[175, 165, 145], [190, 190, 120], [150, 185, 210.0]]))
    scene = paint(np.pad(lay(digit, draw), 50), sheet, pen(draw) * 0.7)
    return on_table(scene, np.full((1800, 1800, 3), draw.uniform(235, 252)), draw)


def scan_edge(digit: Array, draw: Generator) -> bytes:
    scene = written(np.pad(lay(digit, draw), 30), draw)
    for quarters in draw.choice(4, int(draw.integers(1, 3)), replace=False):
        scene = np.rot90(scene, quarters)
        edge = draw.uniform(14, 30) + np.linspace(0, draw.uniform(-12, 12), scene.shape[1])
        black = np.arange(len(scene))[:, np.newaxis] < edge
        scene = np.rot90(np.where(black[..., np.newaxis], 8, scene), -quarters)
    return pack(take(scene, draw))


def tilted(digit: Array, draw: Generator) -> bytes:
    angle = float(draw.choice([-25, 25]))
    turn = partial(ndimage.rotate, angle=angle, reshape=False, order=1)
    return shoot(lay(digit, draw, change=turn), draw)


def small(digit: Array, draw: Generator) -> bytes:
    """Return 28 x 28 pixels whose digit is smaller than MNIST's, and elsewhere."""
    size = int(draw.integers(13, 24))
    near = np.asarray(Image.fromarray(np.float32(digit)).resize((size, size), Image.Resampling.BOX))
    ink = np.zeros((SIDE, SIDE))
    top, left = (int(draw.choice([0, SIDE - size])) for _ in range(2))
    ink[top : top + size, left : left + size] = near
    return pack(Image.fromarray(np.rint(255 * (1 - ink)).astype(np.uint8)), "PNG")


def chalk(digit: Array, draw: Generator) -> bytes:
    ink = lay(digit, draw)
    ink = ink * ndimage.gaussian_filter(draw.uniform(0.4, 1.2, ink.shape), 1).clip(0, 1)
    board = draw.choice(np.array([[30, 32, 35], [35, 70, 50.0]]))
    smears = ndimage.gaussian_filter(draw.normal(0, 1, ink.shape), 30)
    scene = paint(ink, board + 6 * (smears / smears.std())[..., np.newaxis], np.full(3, 225.0))
    return pack(take(scene, draw))


KINDS: dict[str, Kind] = {
    "plain paper": lambda digit, draw: shoot(lay(digit, draw), draw),
    "shadow": shadow,
    "lines": partial(ruled, directions=[0]),
    "squares": partial(ruled, directions=[0, 1]),
    "in a corner": corner,
    "on a darker table": dark_table,
    "on a lighter table": light_table,
    "black edge of a scan": scan_edge,
    "tilted by 25 degrees": tilted,
    "28 x 28, elsewhere": small,
    "chalk": chalk,
}


def several(digits: Sequence[Array], draw: Generator, columns: int) -> bytes:
    """Return a photograph of one sheet with digits in rows of `columns`, each about as large."""
    cell = int(draw.integers(110, 200))
    cells = [lay(digit, draw, (0.65, 0.85), (cell, cell)) for digit in digits]
    cells += [np.zeros((cell, cell))] * (-len(cells) % columns)
    rows = [np.hstack(cells[start : start + columns]) for start in range(0, len(cells), columns)]
    return shoot(np.pad(np.vstack(rows), int(draw.integers(10, 60))), draw)
