import io
import struct
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from digits.errors import InputError
from digits.pictures import reading as pictures
from digits.pictures.reading import EXPECTED, FORMATS, LARGEST, read_picture

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


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("times", [1, 200])
def test_any_format_is_turned_also_where_it_is_reduced(
    tmp_path: Path, kind: str, times: int
) -> None:
    exif = Image.Exif()
    exif[0x0112] = 8
    large = np.repeat(np.repeat(GREYS, times, axis=0), times, axis=1)
    found = read_picture(save(Image.fromarray(large), tmp_path / "a", kind, exif=exif))
    height, width, _ = found.colours.shape
    assert height / width == pytest.approx(10 / 12, abs=0.01)
    assert found.scale == pytest.approx(times * 12 / width)
    ink = np.argwhere(found.colours[..., 0] < 128).mean(axis=0) / (height, width)
    expected = np.argwhere(np.rot90(GREYS) < 128).mean(axis=0) / (10, 12)
    assert ink == pytest.approx(expected, abs=0.06)


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


@pytest.mark.parametrize("fault", [MemoryError("none left"), RuntimeError(), OverflowError("a\nb")])
def test_whatever_pillow_raises_is_told_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: Exception
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise fault

    path = save(Image.fromarray(GREYS), tmp_path / "a.png")
    monkeypatch.setattr(Image.Image, "getexif", fail)
    told = " ".join(str(fault).split()) or "RuntimeError"
    assert refused(path) == f"{told}; expected {EXPECTED}"


def test_metadata_of_the_wrong_type_is_ignored(tmp_path: Path) -> None:
    # A camera's maker as a fraction, where text belongs, in a picture that is turned.
    maker = struct.pack(">HHII", 0x010F, 5, 1, 38) + struct.pack(">HHIHH", 0x0112, 3, 1, 6, 0)
    exif = b"Exif\0\0MM\0*\0\0\0\x08\0\x02" + maker + bytes(4) + struct.pack(">II", 5, 2)
    path = save(Image.fromarray(GREYS), tmp_path / "a.png", exif=exif)
    assert np.array_equal(colours_of(path), in_colours(np.rot90(GREYS, -1)))


def test_a_file_without_end_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pictures, "MOST_BYTES", 2**16)
    assert refused(Path("/dev/zero")) == f"more than 65,536 bytes; expected {EXPECTED}"
    path = tmp_path / "a.png"
    path.write_bytes(bytes(2**16))
    assert refused(path).startswith("no picture")


def test_a_deep_picture_is_reduced_before_it_is_spread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pictures, "MOST_BYTES", 2**20)
    path = save(Image.fromarray(np.eye(4000, 5000, dtype=np.uint16)), tmp_path / "a.png")
    tracemalloc.start()
    found = read_picture(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert found.scale == 5000 / LARGEST
    assert peak < 4000 * 5000 * 4  # bytes, which is half of what all of it would take


def test_heic_without_its_reader_is_told_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    path = tmp_path / "a.heic"
    path.write_bytes(struct.pack(">I", 24) + b"ftypheic" + bytes(12))
    assert refused(path) == (
        "HEIC; expected a picture of another format, or this: "
        "pip install --requirement requirements-pictures.txt"
    )


def test_heic_is_read_where_its_reader_is_installed(tmp_path: Path) -> None:
    heif = pytest.importorskip("pillow_heif", reason="requirements-pictures.txt is not installed")
    heif.register_heif_opener()
    large = Image.fromarray(GREYS).resize((100, 120), Image.Resampling.NEAREST)
    found = colours_of(save(large.convert("RGB"), tmp_path / "a", "HEIF"))
    assert np.abs(found - in_colours(np.asarray(large))).mean() < 5


def test_damaged_metadata_is_ignored(tmp_path: Path) -> None:
    path = save(Image.fromarray(GREYS), tmp_path / "a.png", exif=b"Exif\0\0MM\0*\0\0\0\x08\xff\xff")
    assert np.array_equal(colours_of(path), in_colours(GREYS))
