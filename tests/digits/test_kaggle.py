from pathlib import Path

import numpy as np
import pytest

from digits.errors import InputError
from digits.kaggle import (
    count_pixels,
    has_labels,
    read_labelled,
    read_pixels,
    read_submission,
    write_images,
    write_submission,
)
from proofs.sandbox import draw_images


def test_images_are_read_as_they_were_written(tmp_path: Path) -> None:
    pixels, labels = draw_images(20)
    pixels[0, :2] = [0, 255]
    write_images(tmp_path / "train.csv", pixels, labels)
    write_images(tmp_path / "test.csv", pixels)
    [(found_labels, found_pixels)] = read_labelled(tmp_path / "train.csv", classes=3)
    assert np.array_equal(found_labels, labels)
    assert np.array_equal(found_pixels, pixels)
    [found_pixels] = read_pixels(tmp_path / "test.csv")
    assert np.array_equal(found_pixels, pixels)


def test_images_are_written_in_kaggles_form(tmp_path: Path) -> None:
    write_images(tmp_path / "train.csv", np.array([[0, 7, 80, 255]], np.uint8), np.array([9]))
    expected = b"label,pixel0,pixel1,pixel2,pixel3\n9,0,7,80,255\n"
    assert (tmp_path / "train.csv").read_bytes() == expected


def test_labels_of_images_to_predict_are_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "test.csv"
    path.write_text("label,pixel0\n7000,1\n2,255\n")
    assert [block.tolist() for block in read_pixels(path)] == [[[1], [255]]]
    assert count_pixels(path, labelled=False) == 1
    assert has_labels(path)


@pytest.mark.parametrize("start", [0, 1])
def test_pixels_are_numbered_from_0_or_from_1(tmp_path: Path, start: int) -> None:
    names = ",".join(f"pixel{start + k}" for k in range(4))
    (tmp_path / "test.csv").write_text(f"{names}\n1,2,3,4\n")
    assert count_pixels(tmp_path / "test.csv", labelled=False) == 4
    assert [block.tolist() for block in read_pixels(tmp_path / "test.csv")] == [[[1, 2, 3, 4]]]


@pytest.mark.parametrize(
    ("header", "labelled", "message"),
    [
        ("pixel0", True, "column 1: 'pixel0'; expected 'label' as the first column"),
        ("pixel0,label", True, "column 1: 'pixel0'; expected 'label' as the first column"),
        ("Label,pixel0", True, "column 1: 'Label'; expected 'label' as the first column"),
        ("label,pixel1,label", False, "column 3: 'label' out of place; expected 'pixel2'"),
        ("pixel0,label", False, "column 2: 'label' out of place; expected 'pixel1'"),
        ("pixel0,pixel2", False, "column 2: 'pixel2' out of place; expected 'pixel1'"),
        ("pixel0,pixel0", False, "column 2: 'pixel0' again; expected 'pixel1'"),
        ("label,pixel1,pixel0", True, "column 3: 'pixel0' out of place; expected 'pixel2'"),
        ("pixel2,pixel3", False, "column 1: 'pixel2' out of place; expected 'pixel0'"),
        ("1x1,1x2", False, "column 1: '1x1' out of place; expected 'pixel0'"),
        ("pixel0,pixel1", False, "column 2: 2 pixel columns; expected a square number of them"),
        ("label", True, "column 1: 0 pixel columns; expected a square number of them"),
    ],
)
def test_a_header_that_is_not_kaggles_is_refused(
    tmp_path: Path, header: str, labelled: bool, message: str
) -> None:
    path = tmp_path / "images.csv"
    path.write_text(header + "\n1\n")
    with pytest.raises(InputError) as error:
        count_pixels(path, labelled=labelled)
    assert str(error.value) == f"{path}: row 1, {message}"


def test_a_header_of_any_length_is_told_in_a_short_line(tmp_path: Path) -> None:
    path = tmp_path / "images.csv"
    path.write_text("x" * 9999 + "\n1\n")
    with pytest.raises(InputError) as error:
        count_pixels(path, labelled=True)
    assert len(str(error.value)) < 150 + len(str(path))
    with pytest.raises(InputError) as error:
        read_submission(path, 1, classes=10)
    assert len(str(error.value)) < 150 + len(str(path))


def test_a_label_outside_the_classes_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "train.csv"
    path.write_text("label,pixel0\n2,0\n3,0\n")
    message = r"row 3, column 1 \(label\): '3'; expected a whole number from 0 to 2"
    with pytest.raises(InputError, match=message):
        list(read_labelled(path, classes=3))


def test_a_submission_is_written_to_the_letter(tmp_path: Path) -> None:
    write_submission(tmp_path / "submission.csv", [7, 0, 9])
    expected = b"ImageId,Label\n1,7\n2,0\n3,9\n"
    assert (tmp_path / "submission.csv").read_bytes() == expected
    assert read_submission(tmp_path / "submission.csv", 3, classes=10).tolist() == [7, 0, 9]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("Id,Label\n1,7\n", "row 1: 'Id,Label'; expected 'ImageId,Label'"),
        ("ImageId,Label\n1,7\n1,8\n", r"row 3, column 1 \(ImageId\): 1; expected 2"),
        ("ImageId,Label\n0,7\n1,8\n", r"row 2, column 1 \(ImageId\): 0; expected 1"),
        ("ImageId,Label\n1,7\n", "row 2: the last of 1; expected 2"),
        ("ImageId,Label\n1,7\n2,8\n3,9\n", r"row 4, column 1 \(ImageId\): '3'; .* from 0 to 2"),
        ("ImageId,Label\n1,7\n2,10\n", r"row 3, column 2 \(Label\): '10'; .* from 0 to 9"),
    ],
)
def test_a_submission_that_kaggle_would_refuse_is_refused(
    tmp_path: Path, content: str, message: str
) -> None:
    path = tmp_path / "submission.csv"
    path.write_text(content)
    with pytest.raises(InputError, match=message):
        read_submission(path, 2, classes=10)
