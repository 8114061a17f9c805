import struct
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from digits.errors import InputError
from digits.pictures.reading import EXPECTED, FORMATS, LARGEST, read_picture

DARK, LIGHT = 40, 220
GREYS = np.full((12, 10), LIGHT, np.uint8)
GREYS[3:9, 2:5] = DARK


def save(pixels: NDArray[np.generic], path: Path, kind: str = "PNG", **options: object) -> Path:
    Image.fromarray(pixels).save(path, format=kind, **options)
    return path


def greys_of(path: Path) -> NDArray[np.int64]:
    """Return what a picture without colours shows, shape (height, width)."""
    colours = np.asarray(read_picture(path)[0], np.int64)
    assert (np.ptp(colours, axis=2) <= 3).all()
    return colours[..., 1]


def refused(path: Path) -> str:
    with pytest.raises(InputError) as error:
        read_picture(path)
    return str(error.value).removeprefix(f"{path}: ").removesuffix(f"; expected {EXPECTED}")


@pytest.mark.parametrize(
    ("kind", "mode"),
    [(kind, "RGB") for kind in FORMATS] + [("TIFF", mode) for mode in ("CMYK", "LA", "P", "RGBA")],
)
def test_a_picture_of_any_format_and_mode_shows_the_same_by_its_content(
    tmp_path: Path, kind: str, mode: str
) -> None:
    picture = Image.fromarray(GREYS).convert(mode)
    picture.save(tmp_path / "a.png", format=kind)
    found = greys_of(tmp_path / "a.png")
    assert np.abs(found - GREYS).max() <= (40 if kind in ("JPEG", "WEBP") else 1)


@pytest.mark.parametrize("dtype", [np.bool_, np.uint16, np.int32, np.float32])
def test_greys_of_more_or_fewer_bits_are_spread_from_black_to_white(
    tmp_path: Path, dtype: type[np.generic]
) -> None:
    deep = np.where(GREYS == DARK, 0 if dtype is np.bool_ else 1000, 5000).astype(dtype)
    found = greys_of(save(deep, tmp_path / "a", "TIFF"))
    assert np.array_equal(found, np.where(GREYS == DARK, 0, 255))


@pytest.mark.parametrize(("kind", "times"), [("JPEG", 1), ("PNG", 200), ("TIFF", 200), ("WEBP", 1)])
def test_a_photograph_is_turned_as_its_camera_was_held_and_reduced(
    tmp_path: Path, kind: str, times: int
) -> None:
    exif = Image.Exif()
    exif[0x0112] = 8  # orientation: to be turned against the clock
    large = np.repeat(np.repeat(GREYS, times, axis=0), times, axis=1)
    picture, scale = read_picture(save(large, tmp_path / "a", kind, exif=exif))
    greys = np.asarray(picture.convert("L"))
    assert greys.shape == ((10, 12) if times == 1 else (round(LARGEST * 10 / 12), LARGEST))
    assert scale == times * 12 / greys.shape[1]
    ink = np.argwhere(greys < 128).mean(axis=0) / greys.shape
    expected = np.argwhere(np.rot90(GREYS) < 128).mean(axis=0) / (10, 12)
    assert ink == pytest.approx(expected, abs=0.06)


@pytest.mark.parametrize(("ink", "background"), [(0, 255), (90, 255), (255, 0), (180, 0)])
def test_ink_on_nothing_is_put_on_what_it_differs_from(
    tmp_path: Path, ink: int, background: int
) -> None:
    pixels = np.full((5, 5, 4), (ink, ink, ink, 0), np.uint8)
    pixels[1:4, 2, 3] = (255, 255, 51)
    found = greys_of(save(pixels, tmp_path / "a"))
    assert (found[:, [0, 1, 3, 4]] == background).all()
    assert found[1, 2] == ink
    assert found[3, 2] == pytest.approx(0.2 * ink + 0.8 * background, abs=1)


@pytest.mark.parametrize("kind", FORMATS)
def test_what_is_no_picture_or_cut_short_is_refused(tmp_path: Path, kind: str) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (60, 60, 3), dtype=np.uint8)
    path = save(noise, tmp_path / "a", kind)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert "expected" not in refused(path)
    for content in (b"", b"label,pixel0\n", b"%!PS-Adobe-3.0 EPSF-3.0\n"):
        path.write_bytes(content)
        assert refused(path) == "no picture of a format that is read"


@pytest.mark.parametrize("side", [60_000, 10_000])
def test_more_pixels_than_memory_should_hold_are_refused(tmp_path: Path, side: int) -> None:
    path = save(GREYS, tmp_path / "a", "GIF")
    content = path.read_bytes()
    path.write_bytes(content[:6] + struct.pack("<HH", side, side) + content[10:])
    assert refused(path).startswith(f"Image size ({side**2} pixels) exceeds limit")


def test_metadata_of_the_wrong_type_or_damaged_are_ignored(tmp_path: Path) -> None:
    # A camera's maker as a fraction, where text belongs, in a picture that is turned.
    maker = struct.pack(">HHII", 0x010F, 5, 1, 38) + struct.pack(">HHIHH", 0x0112, 3, 1, 6, 0)
    wrong = b"Exif\0\0MM\0*\0\0\0\x08\0\x02" + maker + bytes(4) + struct.pack(">II", 5, 2)
    damaged = b"Exif\0\0MM\0*\0\0\0\x08\xff\xff"
    for exif, expected in ((wrong, np.rot90(GREYS, -1)), (damaged, GREYS)):
        found = greys_of(save(GREYS, tmp_path / "a", exif=exif))
        assert np.array_equal(found, expected)


def test_heic_is_read_where_its_reader_is_installed(tmp_path: Path) -> None:
    pytest.importorskip("pillow_heif", reason="the extra pictures").register_heif_opener()
    large = np.kron(GREYS, np.ones((10, 10), np.uint8))
    path = save(np.dstack([large] * 3), tmp_path / "a", "HEIF")
    assert np.abs(greys_of(path) - large).mean() < 5
