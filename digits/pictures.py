"""Picture files, read as colours, whatever their format.

Only the formats named here are tried: for some others Pillow starts programs, such as Ghostscript.
"""

import os
import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from digits.errors import InputError, expecting

FORMATS = ("PNG", "JPEG", "GIF", "BMP", "WEBP", "TIFF")
EXPECTED = "a picture: PNG, JPEG, GIF, BMP, WebP or TIFF"
LARGEST = 400  # pixels of a side, to which larger pictures are reduced
ONE_COLOUR = 64  # levels of 255, over which the colours of one ink spread at most
# What Pillow raises where the bytes of a picture contradict each other.
_DAMAGED = (ValueError, SyntaxError, TypeError, LookupError, EOFError, struct.error)
_BOMBS = (Image.DecompressionBombError, Image.DecompressionBombWarning)


def read_picture(path: Path) -> NDArray[np.float64]:
    """Return the colours of a picture, shape (height, width, 3), from 0 to 255.

    It is turned as its EXIF orientation says, reduced to `LARGEST` pixels, and what is transparent
    in it is filled. Of several frames it is the first.

    Raises:
        InputError: there is no such file, or it holds no whole picture, or one of more pixels than
            Pillow takes to be harmless.
    """
    with expecting(path, EXPECTED, *_DAMAGED), warnings.catch_warnings(), _libtiff_silenced():
        warnings.simplefilter("ignore")  # of metadata that is damaged
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        try:
            with Image.open(path, formats=FORMATS) as picture:
                ImageOps.exif_transpose(picture, in_place=True)
                colours = _in_8_bits(picture).convert("RGBA")
        except _BOMBS:
            most = f"{Image.MAX_IMAGE_PIXELS:,}"
            raise InputError(f"{path}: too many pixels; expected at most {most}") from None
        except UnidentifiedImageError:
            raise InputError(
                f"{path}: no picture of a format that is read; expected {EXPECTED}"
            ) from None
    colours.thumbnail((LARGEST, LARGEST))
    return fill(np.asarray(colours))


@contextmanager
def _libtiff_silenced() -> Iterator[None]:
    """Keep from standard error what libtiff writes there by itself, besides what Pillow raises."""
    kept = os.dup(2)
    try:
        with Path(os.devnull).open("wb") as nothing:
            os.dup2(nothing.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def _in_8_bits(picture: Image.Image) -> Image.Image:
    """Return a picture whose greys, if they have more bits, are spread over the range of 8.

    Pillow would cut off what is above 255. What range was meant is not known: scanners write 12
    bits of 16.
    """
    if picture.mode[0] not in "IF":
        return picture
    values = np.asarray(picture, dtype=np.float64)
    if not np.isfinite(values).all():
        raise ValueError("a grey that is no number")
    low, high = values.min(), values.max()
    spread = (values - low) / (high - low or 1) * 255
    return Image.fromarray(np.rint(spread).astype(np.uint8))


def fill(pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Return colours, shape (height, width, 3), in which what is transparent shows a background.

    Ink of one colour alone is put on black or white, whatever differs more from it. Otherwise there
    is paper in the picture, and its edges go on in the commonest colour.

    Args:
        pixels: red, green, blue and alpha, shape (height, width, 4).
    """
    colours, alpha = pixels[..., :3].astype(np.float64), pixels[..., 3]
    seen = colours[alpha > alpha.max() // 2]
    if not len(seen):  # nothing is
        return np.full_like(colours, 255)
    background = np.median(seen, axis=0)
    if np.ptp(seen, axis=0).max() <= ONE_COLOUR:
        background = np.full(3, 255.0 * (background.mean() < 128))
    share = alpha[..., np.newaxis] / 255
    filled: NDArray[np.float64] = colours * share + background * (1 - share)
    return filled
