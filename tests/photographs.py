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
TURNS = {3: 2, 6: 1, 8: -1}  # EXIF orientation: quarter turns against the clock, of what is stored

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


def shoot(ink: Array, draw: Generator, colour: Array | None = None) -> bytes:
    """Return a photograph of ink on plain paper."""
    colour = pen(draw) if colour is None else colour
    return pack(take(paint(ink, paper(draw), colour), draw), quality=int(draw.integers(60, 95)))


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


def thin(digit: Array, draw: Generator) -> bytes:
    def change(ink: Array) -> Array:
        inside = ndimage.distance_transform_edt(ink > 0.5)
        # About how broad strokes are, in pixels: four times the mean distance to their edge.
        breadth = float(4 * inside[inside > 0].mean())
        return np.clip(inside - draw.uniform(0.2, 0.27) * breadth, 0, 1)

    return shoot(lay(digit, draw, change=change), draw)


def thick(digit: Array, draw: Generator) -> bytes:
    def change(ink: Array) -> Array:
        outside = ndimage.distance_transform_edt(ink <= 0.5)
        return np.clip(len(ink) / SIDE * draw.uniform(1.0, 1.7) - outside, 0, 1)

    return shoot(lay(digit, draw, (0.6, 0.9), change=change), draw)


def transparent(digit: Array, draw: Generator) -> bytes:
    ink = lay(digit, draw)
    grey = np.full(ink.shape, draw.choice([0.0, 255.0]))
    return pack(Image.fromarray(np.dstack([grey, grey, grey, ink * 255]).astype(np.uint8)), "PNG")


def sixteen_bits(digit: Array, draw: Generator) -> bytes:
    greys = 3700 - lay(digit, draw) * draw.uniform(2000, 3300)
    noisy = greys + draw.normal(0, 30, greys.shape)
    return pack(Image.fromarray(noisy.astype(np.uint16)), "PNG")


def turned(digit: Array, draw: Generator) -> bytes:
    ink, orientation = lay(digit, draw), int(draw.choice(list(TURNS)))
    exif = Image.Exif()
    exif[0x0112] = orientation
    return pack(take(written(np.rot90(ink, TURNS[orientation]), draw), draw), exif=exif)


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


def dark_frame(digit: Array, draw: Generator) -> bytes:
    scene = written(lay(digit, draw), draw)
    sides = [(int(draw.integers(8, 45)), int(draw.integers(8, 45))) for _ in range(2)]
    framed = np.pad(scene, [*sides, (0, 0)], constant_values=draw.uniform(0, 60))
    return pack(take(framed, draw))


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


def as_mnist(digit: Array, draw: Generator) -> bytes:
    pixels = np.rint(digit * 255).astype(np.uint8)
    return pack(Image.fromarray(255 - pixels if draw.integers(2) else pixels), "PNG")


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
    "blue pen": lambda digit, draw: shoot(
        lay(digit, draw), draw, np.array([30, 50, 170]) + draw.uniform(-20, 20, 3)
    ),
    "in a corner": corner,
    "thin": thin,
    "very thick": thick,
    "transparent": transparent,
    "CMYK": lambda digit, draw: pack(take(written(lay(digit, draw), draw), draw).convert("CMYK")),
    "16 bits": sixteen_bits,
    "turned by EXIF": turned,
    "on a darker table": dark_table,
    "on a lighter table": light_table,
    "dark frame": dark_frame,
    "black edge of a scan": scan_edge,
    "tilted by 25 degrees": tilted,
    "28 x 28, elsewhere": small,
    "28 x 28, as MNIST": as_mnist,
    "chalk": chalk,
}


def several(digits: Sequence[Array], draw: Generator, columns: int) -> bytes:
    """Return a photograph of one sheet with digits in rows of `columns`, each about as large."""
    cell = int(draw.integers(110, 200))
    cells = [lay(digit, draw, (0.65, 0.85), (cell, cell)) for digit in digits]
    cells += [np.zeros((cell, cell))] * (-len(cells) % columns)
    rows = [np.hstack(cells[start : start + columns]) for start in range(0, len(cells), columns)]
    return shoot(np.pad(np.vstack(rows), int(draw.integers(10, 60))), draw)
