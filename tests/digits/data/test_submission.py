from pathlib import Path

import pandas as pd
import pytest

from digits.data.csv_files import write_table
from digits.data.submission import count_ids, read_ids, read_submission, write_submission
from digits.errors import InputError

CLASSES = tuple(map(str, range(10)))


@pytest.mark.parametrize("rows", [1, 2])
@pytest.mark.parametrize(
    ("name", "header"), [("id", "id,label"), ("Id", "Id,Label"), ("ImageId", "ImageId,Label")]
)
def test_a_submission_has_the_ids_of_its_set_whatever_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows: int, name: str, header: str
) -> None:
    write_table(tmp_path / "ids.csv", pd.DataFrame({name: ["007", "-1+2", "a,b"]}))
    monkeypatch.setattr("digits.data.submission.BLOCK", rows)
    ids = list(read_ids(tmp_path / "ids.csv"))
    assert max(map(len, ids)) == rows
    path = tmp_path / "submission.csv"
    write_submission(path, iter(ids), ["+", "b", "b"])
    assert path.read_bytes() == f'{header}\n007,+\n-1+2,b\n"a,b",b\n'.encode()
    assert read_submission(path, iter(ids), ("+", "b")).tolist() == [0, 1, 1]
    for labels in (["+"], ["+", "b", "b", "b"]):
        with pytest.raises(ValueError, match="zip"):
            write_submission(path, iter(ids), labels)


@pytest.mark.parametrize("rows", [1, 4096])
@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("Id,Label\n1,7\n", "1 rows of ['Id', 'Label']; expected the columns ImageId and Label, "),
        ("ImageId,Label\n1,7\n1,8\n", "row 3, column 1 (ImageId): '1'; expected 2"),
        ("ImageId,Label\n", "row 1: the last of 0; expected 2"),
        ("ImageId,Label\n1,7\n", "row 2: the last of 1; expected 2"),
        ("ImageId,Label\n1,7\n2,8\n3,9\n4,0\n", "row 5: the last of 4; expected 2"),
        ("ImageId,Label\n1,7\n2,10\n", "row 3, column 2 (Label): '10'; expected one of 0, 1, 2"),
        ("ImageId,Label\n1,7\n2\n", "row 3: ['2', '']; expected the columns ImageId and Label, an"),
    ],
)
def test_a_submission_that_kaggle_would_refuse_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows: int, content: str, message: str
) -> None:
    monkeypatch.setattr("digits.data.submission.BLOCK", rows)
    path = tmp_path / "submission.csv"
    path.write_text(content)
    with pytest.raises(InputError) as error:
        read_submission(path, count_ids(2), CLASSES)
    assert str(error.value).startswith(f"{path}: {message}")


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, "no such file"),
        (b"", "No columns to parse from file"),
        (b"id\n", r"0 rows of \['id'\]"),
        (b"id\n1\n\n2\n", r"row 3: \[''\]"),
        (b"\xff", "'utf-8' codec can't decode .*"),
    ],
)
def test_ids_that_prepare_did_not_write_are_refused(
    tmp_path: Path, content: bytes | None, told: str
) -> None:
    if content is not None:
        (tmp_path / "ids.csv").write_bytes(content)
    with pytest.raises(InputError, match=rf"ids\.csv: {told}; expected what prepare writes$"):
        list(read_ids(tmp_path / "ids.csv"))
