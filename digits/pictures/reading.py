"""Picture files, read as colours, whatever their format.

Only the formats named here are tried: for some others Pillow starts programs, such as Ghostscript.
"""

import io
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError
from PIL.Image import Transpose

from digits.errors import InputError, expecting, one_line

FORMATS = ("PNG", "JPEG", "GIF", "BMP", "WEBP", "TIFF")
EXPECTED = "a picture: PNG, JPEG, GIF, BMP, WebP, TIFF or HEIC"
HEIC = "a picture of another format, or this: pip install --requirement requirements-pictures.txt"
UNKNOWN = "no picture of a format that is read"
BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")  # ISO 23008-12
MOST_BYTES = 2**28  # of a file, which may be a pipe without end
LARGEST = 400  # pixels of a side, to which larger pictures are reduced
SAMPLES = 4  # pixels of a side of the file, for each of those, that are looked at
ONE_COLOUR = 64  # levels of 255, over which the colours of one ink spread at most
ORIENTATION = 0x0112  # EXIF
TURNS = {  # by that orientation
    2: Transpose.FLIP_LEFT_RIGHT,
    3: Transpose.ROTATE_180,
    4: Transpose.FLIP_TOP_BOTTOM,
    5: Transpose.TRANSPOSE,
    6: Transpose.ROTATE_270,
    7: Transpose.TRANSVERSE,
    8: Transpose.ROTATE_90,
}
_BOMBS = (Image.DecompressionBombError, Image.DecompressionBombWarning)


@dataclass(frozen=True)
class Picture:
    """What a picture file shows.

    Attributes:
        colours: shape (height, width, 3), from 0 to 255.
        scale: pixels of the file for each of those, along a side; 1 unless it was reduced.
    """

    colours: NDArray[np.float64]
    scale: float


def read_picture(path: Path) -> Picture:
    """Return what a picture shows, turned as its EXIF orientation says.

    It is reduced to `LARGEST` pixels, and what is transparent in it is filled. Of several frames it
    is the first.

    Raises:
        InputError: there is no such file, or it holds no whole picture, or one of more bytes than
            `MOST_BYTES` or more pixels than Pillow takes to be harmless.
    """
    with expecting(path, EXPECTED), path.open("rb") as file:
        content = file.read(MOST_BYTES + 1)
    if len(content) > MOST_BYTES:
        raise InputError(f"{path}: more than {MOST_BYTES:,} bytes; expected {EXPECTED}")
    with warnings.catch_warnings(), _libtiff_silenced():
        warnings.simplefilter("ignore")  # of metadata that is damaged
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        try:
            return _decode(content)
        except _BOMBS:
            most = f"{Image.MAX_IMAGE_PIXELS:,}"
            raise InputError(f"{path}: too many pixels; expected at most {most}") from None
        except UnidentifiedImageError:
            is_heic = content[4:8] == b"ftyp" and content[8:12] in BRANDS
            told = f"HEIC; expected {HEIC}" if is_heic else f"{UNKNOWN}; expected {EXPECTED}"
            raise InputError(f"{path}: {told}") from None
        except Exception as error:  # noqa: BLE001 - what Pillow raises of damaged bytes is any
            raise InputError(f"{path}: {one_line(error)}; expected {EXPECTED}") from None


def _formats() -> tuple[str, ...]:
    """Return all formats that can be read, which may be those of an extra too."""
    try:
        from pillow_heif import register_heif_opener  # noqa: PLC0415 - an extra
    except ImportError:
        return FORMATS
    register_heif_opener()
    return (*FORMATS, "HEIF")


def _decode(content: bytes) -> Picture:
    with Image.open(io.BytesIO(content), formats=_formats()) as picture:
        longest = max(picture.size)
        sampled = (LARGEST * SAMPLES, LARGEST * SAMPLES)
        picture.draft(None, sampled)
        picture.load()
        # Before anything else, for what comes next takes several bytes for each pixel.
        picture.thumbnail(sampled, Image.Resampling.NEAREST)
        turn = TURNS.get(picture.getexif().get(ORIENTATION, 1))
        colours = _in_8_bits(picture).convert("RGBA")
    colours.thumbnail((LARGEST, LARGEST))
    turned = colours if turn is None else colours.transpose(turn)
    return Picture(fill(np.asarray(turned)), longest / max(colours.size))


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
