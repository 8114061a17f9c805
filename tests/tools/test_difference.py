import pytest

from tools.difference import CURVES, describe


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (b"a\n1\n2\n", b"a\n1\n3\n", "1 of 3 rows; row 3: '2' became '3'"),
        (b"a\n1\n", b"a\n", "1 of 2 rows; row 2: '1' became ''"),
        (b"a\n1\n", b"a\r\n1\n", "0 of 2 rows; ended otherwise"),
        (b"\x89PNG12", b"\x89PNG0", "1 of 6 bytes; there are 5 now"),
    ],
)
def test_text_differs_by_rows_and_all_else_by_bytes(old: bytes, new: bytes, words: str) -> None:
    assert describe("any", old, new) == words


EPOCHS = ["1,0.5,w1,d1,x", "2,0.4,w2,d2,x", "3,0.3,w3,d3,x"]


def curves(*epochs: str) -> bytes:
    header = "epoch,training_loss,weights_sha256,draws_sha256,data_sha256"
    return "\n".join([header, *epochs]).encode()


@pytest.mark.parametrize(
    ("epochs", "words"),
    [
        ([EPOCHS[0], "2,0.7,w8,d2,x", "3,0.6,w9,d3,x"], "from epoch 2 on: weights; 2 of 4 rows"),
        ([*EPOCHS[:2], "3,0.3,w3,d9,x"], "from epoch 3 on: draws; 1 of 4 rows"),
        (["1,0.7,w7,d7,y", "2,0.7,w8,d8,y", "3,0.6,w9,d9,y"], "from epoch 1 on: data; 3 of 4"),
        ([*EPOCHS[:2], "3,0.4,w3,d3,x"], "from epoch 3 on: training_loss; 1 of 4 rows"),
        ([*EPOCHS, "4,0.2,w4,d4,x"], "1 of 4 rows; row 5: '' became"),
        ([EPOCHS[0], "2,0.4"], "from epoch 2 on: data; 2 of 4 rows"),
    ],
)
def test_the_first_difference_between_trainings_has_a_name(epochs: list[str], words: str) -> None:
    assert describe(str(CURVES), curves(*EPOCHS), curves(*epochs)).startswith(words)
