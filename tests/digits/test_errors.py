import pytest

from digits.errors import InputError, report


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
