import subprocess
import sys

import pytest

from digits import __main__ as command
from digits import network
from digits.errors import InputError
from tests.sandbox import ROOT


@pytest.mark.parametrize("name", ["classify", "export"])
def test_help_shows_an_example_and_waits_for_no_library(name: str) -> None:
    script = (
        "import sys, atexit\n"
        "heavy = ('torch', 'scipy', 'numpy', 'onnx')\n"
        "atexit.register(lambda: print('loaded:', [one for one in heavy if one in sys.modules]))\n"
        f"sys.argv[1:] = [{name!r}, '--help']\n"
        "from digits.__main__ import main\n"
        "main()\n"
    )
    told = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    assert f"Example: python -m digits {name}" in " ".join(told.split())
    assert "loaded: []" in told


def test_export_without_its_library_is_told_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    monkeypatch.delitem(sys.modules, "digits.network.export", raising=False)
    monkeypatch.delattr(network, "export", raising=False)
    monkeypatch.setattr(sys, "argv", ["digits", "export"])
    with pytest.raises(InputError, match="onnx is not installed; expected pip install"):
        command.main()
