from pathlib import Path

import pytest

from digits.errors import InputError, expecting, report, shorten


def test_an_input_error_becomes_one_line_and_status_1(capsys: pytest.CaptureFixture[str]) -> None:
    def main() -> None:
        raise InputError("train.csv: row 3: no")

    with pytest.raises(SystemExit) as stopped:
        report(main)
    assert stopped.value.code == "error: train.csv: row 3: no"


def test_a_bug_keeps_its_traceback() -> None:
    def main() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        report(main)


def test_an_interruption_is_told_in_one_word() -> None:
    def main() -> None:
        raise KeyboardInterrupt

    with pytest.raises(SystemExit, match="interrupted"):
        report(main)


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (FileNotFoundError(2, "No such file"), "a/b: no such file; expected a table"),
        (PermissionError(13, "Permission denied"), "a/b: Permission denied; expected a table"),
        (ValueError("two\nlines"), "a/b: two lines; expected a table"),
        (ValueError(), "a/b: ValueError; expected a table"),
        (ValueError("x" * 300), f"a/b: {'x' * 200}…; expected a table"),
    ],
    ids=str,
)
def test_a_file_that_cannot_be_read_is_named_with_what_was_expected(
    error: Exception, message: str
) -> None:
    with pytest.raises(InputError) as told, expecting(Path("a/b"), "a table", ValueError):
        raise error
    assert str(told.value) == message


def test_what_is_no_damage_stays_a_bug() -> None:
    with pytest.raises(KeyError), expecting(Path("a/b"), "a table", ValueError):
        raise KeyError


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("a", "'a'"),
        ("a" * 50, "'" + "a" * 39 + "…"),
        (1 << 20_000, "a number too long to write"),
        ([[[[[[[[1]]]]]]]], "[[[[[[[...]]]]]]]"),
    ],
    ids=["short", "long", "endless", "deep"],
)
def test_a_value_is_written_briefly(value: object, text: str) -> None:
    assert shorten(value) == text
