import gzip
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from digits.errors import InputError
from digits.tables import open_table


def read(path: Path, limit: int = 255) -> NDArray[np.int64]:
    with open_table(path) as table:
        return np.concatenate(list(table.blocks(np.full(len(table.columns), limit))))


@pytest.mark.parametrize(
    "content",
    [
        b"a,b\n1,2\n30,255\n",
        b"a,b\r\n1,2\r\n30,255\r\n",
        b"a,b\n1,2\n30,255",
        b"a,b\r\n1,2\r\n30,255",
        b"\xef\xbb\xbfa,b\n1,2\n30,255\n",
        b'"a","b"\n1,2\n30,255\n',
        b"a,b\n01,2\n030,0255\n",
    ],
    ids=["LF", "CRLF", "no last LF", "no last CRLF", "byte-order mark", "quotes", "zeros"],
)
def test_a_table_is_read_however_its_lines_end(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "table.csv"
    path.write_bytes(content)
    assert read(path).tolist() == [[1, 2], [30, 255]]


def test_packed_tables_are_read(tmp_path: Path) -> None:
    content = b"a,b\n1,2\n"
    packed, archive = tmp_path / "table.csv.gz", tmp_path / "table.csv.zip"
    packed.write_bytes(gzip.compress(content))
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("folder/", "")
        file.writestr("folder/table.csv", content)
        file.writestr("__MACOSX/folder/._table.csv", b"of macOS")
    assert read(packed).tolist() == read(archive).tolist() == [[1, 2]]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "row 1: empty; expected a header"),
        (b"\n1,2\n", "row 1: empty; expected a header"),
        (b"a,b\n", "row 2: no data; expected rows below the header"),
        (
            b"\x89PNG\x00\x00\n",
            "row 1: not text in UTF-8 with lines that end in LF or CRLF",
        ),
        (b"a,\x00\n1,2\n", "row 1: not text in UTF-8 with lines that end in LF or CRLF"),
        (b'"a\nb"\n1\n', "row 1: not text in UTF-8 with lines that end in LF or CRLF"),
        (b"a,b\n1,2\n,4\n", "row 3, column 1 (a): empty; expected a whole number from 0 to 255"),
        (b"a,b\n1,2\n3,\n", "row 3, column 2 (b): empty;"),
        (b"a,b\n1,256\n", "row 2, column 2 (b): '256'; expected a whole number from 0 to 255"),
        (b"a,b\n-1,2\n", "row 2, column 1 (a): '-1'; expected a whole number from 0 to 255"),
        (b"a,b\n1,2.0\n", "row 2, column 2 (b): '2.0';"),
        (b"a,b\n1,1e1\n", "row 2, column 2 (b): '1e1';"),
        (b"a,b\n1,True\n", "row 2, column 2 (b): 'True';"),
        (b"a,b\n1, 2\n", "row 2, column 2 (b): ' 2';"),
        (b'a,b\n1,"2"\n', "row 2, column 2 (b): '\"2\"';"),
        (b"a,b\n1,NA\n", "row 2, column 2 (b): 'NA';"),
        (b"a,b\n1,\xd9\xa1\n", "row 2, column 2 (b): '\u0661';"),
        (b"a,b\n1,2\x00\n", "row 2, column 2 (b): '2\\x00';"),
        (b"a,b\n1\r,2\n", "row 2, column 1 (a): '1\\r';"),
        (b"a,b\n1,18446744073709551617\n", "row 2, column 2 (b): '18446744073709551617';"),
        (b"a,b\n1,99999999999999999999999\n", "row 2, column 2 (b): '99999999999999999999999';"),
        (b"a,b\n1,2\n3,4,5\n", "row 3, column 3: 3 fields; expected 2, as in the header"),
        (b"a,b\n1,2,3\n4,5,6\n", "row 2, column 3: 3 fields; expected 2, as in the header"),
        (b"a,b\n1,2,\n", "row 2, column 3: 3 fields; expected 2, as in the header"),
        (b"a,b\n1\n2,3,4\n", "row 2, column 2: 1 fields; expected 2, as in the header"),
        (b"a,b\n1,2,3\n4\n", "row 2, column 3: 3 fields; expected 2, as in the header"),
        (b"a,b\n1\n", "row 2, column 2: 1 fields; expected 2, as in the header"),
        (b"a,b\n1,2\n\n3,4\n", "row 3, column 1 (a): empty;"),
        (b"a,b\n1,2\n\n", "row 3, column 1 (a): empty;"),
        (
            b"a,b\n1," + b"0" * 18 + b"2\n",
            "row 2, column 2 (b): '0000000000000000002'; expected a whole number from 0 to 255 in",
        ),
        (b"a,b\n" + b"0" * 60 + b"1,2\n", "row 2, column 1 (a): '0000"),
        (b"a,b\n1,2\n" + b"1," * 60 + b"1\n", "row 3, column 3: over 38 bytes;"),
        (b"a,b\n1,2\n1," + b"9" * 99 + b"\n", "row 3, column 2 (b): '9999"),
    ],
)
def test_what_is_not_expected_is_refused_with_its_place(
    tmp_path: Path, content: bytes, message: str
) -> None:
    path = tmp_path / "table.csv"
    path.write_bytes(content)
    with pytest.raises(InputError) as error:
        read(path)
    assert str(error.value).startswith(f"{path}: {message}")
    assert "\n" not in str(error.value)


def test_the_longest_cells_are_read(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_bytes(b"a,b\r\n" + b"9" * 18 + b"," + b"0" * 17 + b"7\r\n")
    assert read(path, limit=10**18).tolist() == [[10**18 - 1, 7]]


def test_cells_of_every_length_are_read_as_python_reads_them(tmp_path: Path) -> None:
    draws = np.random.default_rng(0)
    values = [[int(draws.integers(10**digits)) for digits in range(19)] for _ in range(100)]
    path = tmp_path / "table.csv"
    rows = [",".join("abcdefghijklmnopqrs"), *(",".join(map(str, row)) for row in values)]
    path.write_text("\n".join(rows))
    assert read(path, limit=10**18).tolist() == values


def test_a_cell_of_thousands_of_zeros_is_no_number(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_bytes(b",".join([b"a"] * 784) + b"\n" + b"0" * 5000 + b",x\n")
    with pytest.raises(InputError, match=r"row 2, column 1 \(a\): '0+"):
        read(path)


def test_rows_are_counted_across_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("digits.tables.BLOCK_CELLS", 4)
    path = tmp_path / "table.csv"
    path.write_text("a,b\n" + "1,2\n" * 7 + "1,x\n")
    with pytest.raises(InputError, match=r"row 9, column 2 \(b\): 'x'"):
        read(path)


def test_each_column_has_its_own_limit(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text("a,b\n9,300\n10,1\n")
    with (
        open_table(path) as table,
        pytest.raises(InputError, match=r"row 3, column 1 \(a\): '10'; .* from 0 to 9$"),
    ):
        list(table.blocks(np.array([9, 300])))


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no\.csv: no such file; expected a whole CSV file"):
        read(tmp_path / "no.csv")
    with pytest.raises(InputError, match="Is a directory; expected a whole CSV file"):
        read(tmp_path)


def test_a_damaged_archive_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "table.csv.gz"
    path.write_bytes(b"a,b\n1,2\n")
    with pytest.raises(InputError, match="expected a whole CSV file"):
        read(path)
    path.write_bytes(gzip.compress(b"a,b\n" + b"1,2\n" * 999)[:-20])
    with pytest.raises(InputError, match="expected a whole CSV file"):
        read(path)
    path = tmp_path / "table.csv.zip"
    path.write_bytes(b"a,b\n1,2\n")
    with pytest.raises(InputError, match="expected a whole CSV file"):
        read(path)


@pytest.mark.parametrize("suffix", [".gz", ".zip"])
def test_an_archive_that_unpacks_without_end_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str
) -> None:
    monkeypatch.setattr("digits.tables.UNPACKED_BYTES", 2**20)
    rows = b"a,b\n" + b"1,2\n" * 2**20
    path = tmp_path / f"bomb.csv{suffix}"
    if suffix == ".gz":
        path.write_bytes(gzip.compress(rows))
    else:
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("bomb.csv", rows)
    limit = max(2**20, 300 * path.stat().st_size)
    assert limit < len(rows)
    with pytest.raises(InputError, match=f"unpacks to over {limit} bytes; expected at most 300 t"):
        read(path)


def test_a_zip_that_is_packed_in_another_way_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "table.csv.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("table.csv", "a\n1\n")
    with pytest.raises(InputError, match="compressed by another method; expected zip's own"):
        read(path)


def test_a_zip_of_another_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "table.csv.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("table.csv", "a\n1\n")
    content = path.read_bytes()
    needed = content.index(b"PK\x01\x02") + 6  # in the central directory
    path.write_bytes(content[:needed] + b"\xff" + content[needed + 1 :])
    with pytest.raises(InputError, match=r"zip file version 25.5; expected a whole CSV file"):
        read(path)


def test_a_header_that_ends_in_two_carriage_returns_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_bytes(b"a,b\r\r\n1,2\n")
    with pytest.raises(InputError, match="row 1: not text in UTF-8 with lines that end in LF or"):
        read(path)


def test_a_zip_of_two_files_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "table.zip"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("train.csv", "a\n1\n")
        file.writestr("test.csv", "a\n1\n")
    with pytest.raises(InputError, match="2 files inside; expected one CSV file"):
        read(path)


def test_memory_does_not_grow_with_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("digits.tables.BLOCK_CELLS", 1000)
    path = tmp_path / "table.csv"
    path.write_text("a,b\n" + "1,2\n" * 100_000)
    tracemalloc.start()
    with open_table(path) as table:
        rows = sum(len(block) for block in table.blocks(np.full(2, 255)))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert rows == 100_000
    assert peak < 300_000
