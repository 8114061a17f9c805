"""Picture files, read as colours, whatever their format.

Only the formats named here are tried: for some others Pillow starts programs, such as Ghostscript.
"""

import warnings
from contextlib import ExitStack
from io import BytesIO
from pathlib import Path
from typing import IO

import numpy as np
from PIL import Image, ImageOps, ImageStat, UnidentifiedImageError

from digits.errors import expecting

Picture = str | Path | bytes | Image.Image  # a path, the content of a file, or what it shows
FORMATS = ("PNG", "JPEG", "GIF", "BMP", "WEBP", "TIFF")
EXPECTED = "a picture: PNG, JPEG, GIF, BMP, WebP, TIFF, or, after make setup EXTRA=pictures, HEIC"
LARGEST = 400  # pixels of a side, to which larger pictures are reduced
SAMPLES = 4  # pixels of a side of the file, for each of those, that are looked at
ORIENTATION = 0x0112  # EXIF


def name_picture(picture: Picture) -> Path:
    """Return what errors call a picture: its path, if it has one."""
    return Path("picture" if isinstance(picture, (bytes, Image.Image)) else picture)


def read_picture(picture: Picture) -> tuple[Image.Image, float]:
    """Return what a picture shows, in RGB, and the length of its pixels in those of the file.

    It is turned as its EXIF orientation says, and reduced to `LARGEST` pixels; what is transparent
    is filled; greys of more than 8 bits are spread over the range of 8. Of several frames it is the
    first. `InputError` where there is no such file, or it holds no whole picture, or one of more
    pixels than Pillow takes to be harmless.
    """
    # What Pillow raises of damaged bytes is any exception.
    with (
        expecting(path := name_picture(picture), EXPECTED, Exception),
        ExitStack() as opened,
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore")  # of metadata that is damaged
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        try:
            if isinstance(picture, Image.Image):
                return _decode(picture.copy())
            data: IO[bytes] = BytesIO(picture) if isinstance(picture, bytes) else path.open("rb")
            return _decode(Image.open(opened.enter_context(data), formats=_formats()))
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
    colours = picture
    if picture.mode[0] in "IF":  # Pillow would cut off what is above 255
        values = np.asarray(picture, dtype=np.float64)
        greys = np.interp(values, (values.min(), values.max()), (0, 255))
        colours = Image.fromarray(np.rint(greys).astype(np.uint8))
    colours = colours.convert("RGBA")
    colours.thumbnail((LARGEST, LARGEST))
    # What is transparent is light around dark ink, and dark around light ink.
    [grey] = ImageStat.Stat(colours.convert("L"), colours.getchannel("A")).mean
    paper = Image.new("RGBA", colours.size, "white" if grey < 128 else "black")
    opaque = Image.alpha_composite(paper, colours).convert("RGB")
    # Of the metadata, which may be damaged, it has the orientation alone.
    opaque.getexif()[ORIENTATION] = picture.getexif().get(ORIENTATION, 1)
    return ImageOps.exif_transpose(opaque), longest / max(opaque.size)
