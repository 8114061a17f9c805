"""Picture files, read as colours, whatever their format.

Only the formats named here are tried: for some others Pillow starts programs, such as Ghostscript.
"""

import warnings
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from digits.errors import expecting

FORMATS = ("PNG", "JPEG", "GIF", "BMP", "WEBP", "TIFF")
EXPECTED = "a picture: PNG, JPEG, GIF, BMP, WebP, TIFF, or, after make setup EXTRA=pictures, HEIC"
LARGEST = 400  # pixels of a side, to which larger pictures are reduced
SAMPLES = 4  # pixels of a side of the file, for each of those, that are looked at
ONE_COLOUR = 64  # levels of 255, over which the colours of one ink spread at most
ORIENTATION = 0x0112  # EXIF


def read_picture(path: Path) -> tuple[Image.Image, float]:
    """Return what a picture shows, in RGB, and the length of its pixels in those of the file.

    It is turned as its EXIF orientation says, reduced to `LARGEST` pixels, and what is transparent
    in it is filled. Of several frames it is the first. `InputError` where there is no such file, or
    it holds no whole picture, or one of more pixels than Pillow takes to be harmless.
    """
    # What Pillow raises of damaged bytes is any exception.
    with expecting(path, EXPECTED, Exception), path.open("rb") as file, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of metadata that is damaged
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        try:
            with Image.open(file, formats=_formats()) as picture:
                return _decode(picture)
        except UnidentifiedImageError:
            raise ValueError("no picture of a format that is read") from None


def _formats() -> tuple[str, ...]:
    """Return all formats that can be read, which may be those of an extra too."""
    try:
        from pillow_heif import register_heif_opener  # noqa: PLC0415 - an extra
    except ImportError:
        return FORMATS
    register_heif_opener()
    return (*FORMATS, "HEIF")


def _decode(picture: Image.Image) -> tuple[Image.Image, float]:
    longest = max(picture.size)
    # Before anything else, for what comes next takes several bytes for each pixel.
    picture.thumbnail((LARGEST * SAMPLES, LARGEST * SAMPLES), Image.Resampling.NEAREST)
    colours = _in_8_bits(picture).convert("RGBA")
    colours.thumbnail((LARGEST, LARGEST))
    colours.info.clear()  # of the metadata, which may be damaged, but for the orientation
    colours.getexif()[ORIENTATION] = picture.getexif().get(ORIENTATION, 1)
    return fill(ImageOps.exif_transpose(colours)), longest / max(colours.size)


def _in_8_bits(picture: Image.Image) -> Image.Image:
    """Return a picture whose greys, if they have more bits, are spread over the range of 8.

    Pillow would cut off what is above 255. What range was meant is not known: scanners write 12
    bits of 16.
    """
    if picture.mode[0] not in "IF":
        return picture
    values = np.asarray(picture, dtype=np.float64)
    spread = (values - values.min()) / (np.ptp(values) or 1) * 255
    return Image.fromarray(np.rint(spread).astype(np.uint8))


def fill(picture: Image.Image) -> Image.Image:
    """Return a picture in RGB; what is transparent in it, in RGBA, shows a background.

    Ink of one colour alone is put on black or white, whatever differs more from it. Otherwise there
    is paper in the picture, and its edges go on in the commonest colour.
    """
    pixels = np.asarray(picture)
    alpha, background = pixels[..., 3], np.full(3, 255)
    if np.ptp(alpha):
        seen = pixels[alpha > alpha.max() // 2, :3]
        background = np.median(seen, axis=0).astype(int)
        if np.ptp(seen, axis=0).max() <= ONE_COLOUR:
            background = np.full(3, 255 * (background.mean() < 128))
    paper = Image.new("RGBA", picture.size, (*background.tolist(), 255))
    return Image.alpha_composite(paper, picture).convert("RGB")
