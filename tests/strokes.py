"""Digits as a hand draws them: strokes on a square paper, and pictures of them."""

from PIL import Image, ImageDraw

PAPER = 280  # units of the strokes, across and down
# From the upper left corner; a slash lifts the pen.
STROKES = {
    0: "140,40 90,70 70,140 90,215 140,240 190,210 210,140 190,70 140,40",
    1: "150,40 146,110 140,180 135,245",
    2: "80,85 105,50 155,42 190,75 175,125 130,180 75,235 140,232 210,230",
    3: "80,60 130,40 185,60 180,105 130,130 185,155 195,205 140,240 80,225",
    4: "95,45 85,100 80,150 140,150 205,145 / 185,50 180,150 175,245",
    5: "195,45 110,45 95,130 150,120 195,155 190,210 140,240 80,225",
    6: "175,40 125,80 90,150 95,215 140,242 185,215 180,170 140,150 100,175",
    7: "70,55 135,52 205,50 175,115 145,180 125,245",
    8: "185,70 145,40 100,65 110,115 165,150 190,200 145,240 95,210 115,155 170,115 185,70",
    9: "190,90 150,50 100,70 95,120 140,140 185,105 190,90 180,165 165,245",
}
FINE = 3  # parts of a pixel's side, over which its colour is averaged


def parse(strokes: str) -> list[list[tuple[int, int]]]:
    """Return the points of each stroke."""
    points = [one.split() for one in strokes.split("/")]
    return [[(int(x), int(y)) for x, y in (at.split(",") for at in one)] for one in points]


def draw(
    digit: int,
    *,
    size: int = PAPER,
    pen: float = 24,
    paper: tuple[int, ...] = (255, 255, 255),
    ink: tuple[int, ...] = (0, 0, 0),
) -> Image.Image:
    """Return a picture of a digit, `size` pixels high and wide; the pen in units of strokes."""
    picture = Image.new("RGB", (size * FINE, size * FINE), paper)
    unit = size * FINE / PAPER
    width = max(round(pen * unit), 1)
    canvas = ImageDraw.Draw(picture)
    for stroke in parse(STROKES[digit]):
        points = [(x * unit, y * unit) for x, y in stroke]
        canvas.line(points, fill=ink, width=width, joint="curve")
        for x, y in (points[0], points[-1]):
            canvas.circle((x, y), width / 2, fill=ink)
    return picture.resize((size, size), Image.Resampling.BOX)
