import subprocess
import sys

import pytest

import digits
from digits import __main__ as command
from tests.sandbox import ROOT


@pytest.mark.parametrize("name", ["classify", "export"])
def test_help_shows_an_example_and_waits_for_no_library(name: str) -> None:
    line = [sys.executable, "-X", "importtime", "-m", "digits", name, "--help"]
    told = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=True)
    assert f"Example: python -m digits {name}" in " ".join(told.stdout.split())
    loaded = {row.split("|")[-1].strip() for row in told.stderr.splitlines()}
    assert "digits.errors" in loaded
    assert not loaded & {"torch", "scipy", "numpy", "onnx"}


MODEL = (
    "--model FILE the network, as the stage evaluate writes it (this folder's: models/digits.saf"
)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], ["Use a trained network. positional", "classify say what", "export write it as ONNX"]),
        (
            ["export"],
            ["python -m digits export [-h] [--model FILE] Write it to models/mlp.onnx, ", MODEL],
        ),
        (
            ["classify"],
            [
                "python -m digits classify [-h] [--sheet] [--json] [--model FILE] FILE [FILE ...]",
                "FILE a picture options: ",
                "--sheet each picture has several digits --json all probabilities, as JSON ",
                MODEL,
            ],
        ),
    ],
)
def test_help_tells_what_commands_and_options_are_for(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    told: list[str],
) -> None:
    monkeypatch.setattr(sys, "argv", ["digits", *arguments, "--help"])
    with pytest.raises(SystemExit, match="0"):
        command.main()
    text = capsys.readouterr().out
    assert [one for one in told if one not in " ".join(text.split())] == []
    assert ("\n    label           the name of" in text) == (arguments == ["classify"])


def test_a_line_without_a_command_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["digits"])
    with pytest.raises(SystemExit, match="2"):
        command.main()
    assert "required: command" in capsys.readouterr().err


def test_export_without_its_library_is_told_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    monkeypatch.delitem(sys.modules, "digits.export", raising=False)
    monkeypatch.delattr(digits, "export", raising=False)
    monkeypatch.setattr(sys, "argv", ["digits", "export"])
    with pytest.raises(SystemExit, match=r"^error: onnx is not installed; expected the extra"):
        command.main()
