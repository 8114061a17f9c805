import io
import struct
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from digits.errors import InputError
from digits.pictures import EXPECTED, FORMATS, LARGEST, read_picture

DARK, LIGHT = 40, 220
GREYS = np.full((12, 10), LIGHT, np.uint8)
GREYS[3:9, 2:5] = DARK


def save(picture: Image.Image, path: Path, kind: str = "PNG", **options: object) -> Path:
    picture.save(path, format=kind, **options)
    return path


def in_colours(greys: NDArray[np.uint8]) -> NDArray[np.float64]:
    return np.repeat(greys[..., np.newaxis], 3, axis=2).astype(np.float64)


def colours_of(path: Path) -> NDArray[np.float64]:
    return read_picture(path).colours


def refused(path: Path) -> str:
    with pytest.raises(InputError) as error:
        read_picture(path)
    message = str(error.value)
    assert message.startswith(f"{path}: ")
    assert message.isprintable()
    return message.removeprefix(f"{path}: ")


@pytest.mark.parametrize("kind", sorted(FORMATS))
def test_a_picture_of_any_format_shows_the_same(tmp_path: Path, kind: str) -> None:
    # The name says another format: the content decides.
    found = colours_of(save(Image.fromarray(GREYS).convert("RGB"), tmp_path / "a.png", kind))
    assert found.shape == (12, 10, 3)
    lossy = kind in ("JPEG", "WEBP")
    assert np.abs(found - in_colours(GREYS)).max() <= (40 if lossy else 0)


@pytest.mark.parametrize("mode", ["CMYK", "L", "LA", "P", "RGB", "RGBA"])
def test_a_picture_of_any_mode_shows_the_same(tmp_path: Path, mode: str) -> None:
    path = save(Image.fromarray(GREYS).convert(mode), tmp_path / "a.tiff", "TIFF")
    assert np.abs(colours_of(path) - in_colours(GREYS)).max() <= 1


def test_colours_stay(tmp_path: Path) -> None:
    path = save(Image.new("RGB", (3, 2), (250, 20, 130)), tmp_path / "a.png")
    assert (colours_of(path) == [250, 20, 130]).all()


def test_a_picture_of_two_colours_is_black_and_white(tmp_path: Path) -> None:
    path = save(Image.fromarray(GREYS > 128), tmp_path / "a.png")
    assert np.array_equal(colours_of(path), in_colours(np.where(GREYS > 128, 255, 0)))


@pytest.mark.parametrize("dtype", [np.float32, np.int32, np.uint16])
def test_greys_of_more_bits_are_spread_from_black_to_white(
    tmp_path: Path, dtype: type[np.generic]
) -> None:
    deep = np.where(GREYS == DARK, 1000, 5000).astype(dtype)
    path = save(Image.fromarray(deep), tmp_path / "a.tiff", "TIFF")
    assert np.array_equal(colours_of(path), in_colours(np.where(GREYS == DARK, 0, 255)))


def test_a_png_of_16_bits_is_read(tmp_path: Path) -> None:
    deep = np.where(GREYS == DARK, 0, 40000).astype(np.uint16)
    path = save(Image.fromarray(deep), tmp_path / "a.png")
    assert np.array_equal(colours_of(path), in_colours(np.where(GREYS == DARK, 0, 255)))


def test_a_grey_that_is_no_number_is_refused(tmp_path: Path) -> None:
    path = save(Image.fromarray(np.array([[np.nan, 1]], np.float32)), tmp_path / "a.tiff", "TIFF")
    assert refused(path).startswith("a grey that is no number; expected a picture: PNG")


def test_of_several_frames_the_first_counts(tmp_path: Path) -> None:
    frames = [Image.fromarray(greys) for greys in (GREYS, 255 - GREYS)]
    path = save(frames[0], tmp_path / "a.gif", "GIF", save_all=True, append_images=frames[1:])
    assert np.array_equal(colours_of(path), in_colours(GREYS))


def test_a_photograph_is_turned_as_its_camera_was_held(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # orientation: to be turned clockwise
    path = save(Image.fromarray(GREYS), tmp_path / "a.png", exif=exif)
    assert np.array_equal(colours_of(path), in_colours(np.rot90(GREYS, -1)))


def test_a_large_picture_is_reduced_as_it_is(tmp_path: Path) -> None:
    large = Image.fromarray(GREYS).resize((1000, 1200), Image.Resampling.NEAREST)
    found = colours_of(save(large, tmp_path / "a.png"))
    assert found.shape == (LARGEST, LARGEST * 10 // 12, 3)
    assert abs(found[LARGEST // 2, LARGEST // 4] - DARK).max() < 1


@pytest.mark.parametrize(("ink", "background"), [(0, 255), (90, 255), (255, 0), (180, 0)])
def test_ink_on_nothing_is_put_on_what_it_differs_from(
    tmp_path: Path, ink: int, background: int
) -> None:
    pixels = np.full((5, 5, 4), (ink, ink, ink, 0), np.uint8)
    pixels[1:4, 2, 3] = (255, 255, 51)
    found = colours_of(save(Image.fromarray(pixels), tmp_path / "a.png"))[..., 0]
    assert (found[:, [0, 1, 3, 4]] == background).all()
    assert found[1, 2] == ink
    assert found[3, 2] == pytest.approx(0.2 * ink + 0.8 * background)


def test_paper_goes_on_where_a_picture_is_transparent(tmp_path: Path) -> None:
    pixels = np.full((20, 20, 4), (250, 250, 200, 255), np.uint8)
    pixels[5:15, 9:11, :3] = 0
    pixels[[0, 0, -1, -1], [0, -1, 0, -1]] = 0  # round corners
    found = colours_of(save(Image.fromarray(pixels), tmp_path / "a.png"))
    assert (found[0, 0] == (250, 250, 200)).all()


def test_a_palette_may_be_transparent(tmp_path: Path) -> None:
    picture = Image.fromarray((GREYS == DARK).astype(np.uint8), "P")
    picture.putpalette([255, 0, 0, 0, 0, 0])
    path = save(picture, tmp_path / "a.png", transparency=0)
    assert np.array_equal(colours_of(path), in_colours(np.where(GREYS == DARK, 0, 255)))


def test_a_picture_of_which_nothing_is_seen_is_white(tmp_path: Path) -> None:
    path = save(Image.new("RGBA", (4, 4)), tmp_path / "a.png")
    assert (colours_of(path) == 255).all()


@pytest.mark.parametrize("content", [b"", b"label,pixel0\n", b"%!PS-Adobe-3.0 EPSF-3.0\n"])
def test_what_is_no_picture_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(content)
    assert refused(path) == f"no picture of a format that is read; expected {EXPECTED}"


@pytest.mark.parametrize("kind", sorted(FORMATS))
def test_a_picture_that_is_cut_short_is_refused(tmp_path: Path, kind: str) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (60, 60, 3), dtype=np.uint8)
    path = save(Image.fromarray(noise), tmp_path / "a", kind)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert refused(path).endswith("; expected a picture: PNG, JPEG, GIF, BMP, WebP, TIFF or HEIC")


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    assert refused(tmp_path / "a.png").startswith("no such file; expected a picture")
    assert refused(tmp_path).startswith("Is a directory; expected a picture")


@pytest.mark.parametrize("side", [60_000, 10_000])
def test_more_pixels_than_memory_should_hold_are_refused(tmp_path: Path, side: int) -> None:
    file = io.BytesIO()
    Image.new("L", (1, 1)).save(file, format="GIF")
    path = tmp_path / "a.gif"
    content = file.getvalue()
    path.write_bytes(content[:6] + struct.pack("<HH", side, side) + content[10:])
    assert refused(path) == f"too many pixels; expected at most {Image.MAX_IMAGE_PIXELS:,}"


def test_damaged_metadata_is_ignored(tmp_path: Path) -> None:
    path = save(Image.fromarray(GREYS), tmp_path / "a.png", exif=b"Exif\0\0MM\0*\0\0\0\x08\xff\xff")
    assert np.array_equal(colours_of(path), in_colours(GREYS))
