import pytest
from ruamel.yaml import YAML

from tests.long.faults import Proof
from tests.sandbox import CLASSES, ROOT, draw_images


def test_the_bright_row_of_an_image_is_its_class() -> None:
    pixels, labels = draw_images(9, side=5)
    assert pixels.shape == (9, 25)
    brightest = pixels.reshape(9, 5, 5).min(axis=2).argmax(axis=1)
    assert brightest.tolist() == labels.tolist() == [0, 1, 2] * 3
    assert CLASSES == 3


def test_an_edit_that_changes_nothing_is_an_error(proof: Proof) -> None:
    with pytest.raises(ValueError, match="'no such text' is 0 times"):
        proof.box.edit("params.yaml", "no such text", "")


def test_a_command_that_fails_is_an_error_with_what_it_said(proof: Proof) -> None:
    with pytest.raises(RuntimeError, match="no-such-command"):
        proof.box.run("git", "no-such-command")


def test_the_sandbox_has_the_pipeline_of_the_project(proof: Proof) -> None:
    assert (proof.box.folder / "dvc.yaml").read_bytes() == (ROOT / "dvc.yaml").read_bytes()
    params = YAML(typ="safe").load(proof.box.folder / "params.yaml")
    assert params["data"]["train"] == "data/mnist/train.csv"
