import sys
from pathlib import Path

import pytest

from digits.errors import InputError
from tests.long import aarch64


def test_every_wheel_is_in_the_version_that_is_pinned_here() -> None:
    text = (aarch64.ROOT / "requirements.txt").read_text(encoding="utf-8")
    pinned = {line.partition("==")[0] for line in text.splitlines()}
    assert set(aarch64.WHEELS) < pinned - {"torch"}


def test_apt_changes_nothing_outside_its_folder(tmp_path: Path) -> None:
    options = list(aarch64.configure_apt(tmp_path, {"ID": "debian"}))
    paths = [option.partition("=")[2] for option in options if option.startswith("Dir::")]
    assert len(paths) == 3
    assert all(Path(path).is_relative_to(tmp_path) for path in paths)
    assert not [option for option in options if "Dir::Etc" in option]  # Debian's own servers


def test_ubuntu_has_other_servers_for_arm(tmp_path: Path) -> None:
    options = list(aarch64.configure_apt(tmp_path, {"UBUNTU_CODENAME": "noble"}))
    sources = tmp_path / "sources.list"
    assert f"Dir::Etc::SourceList={sources}" in options
    first, *_ = sources.read_text(encoding="utf-8").splitlines()
    assert first == "deb http://ports.ubuntu.com/ubuntu-ports noble main universe"


def test_what_is_not_installed_is_named() -> None:
    with pytest.raises(InputError, match=r"^none-such: not installed; expected Debian or Ubuntu"):
        aarch64.run("none-such")


@pytest.mark.parametrize(
    ("code", "told"),
    [("import sys; sys.exit('first\\nlast')", "last"), ("import sys; sys.exit(3)", "status 3")],
)
def test_what_fails_is_told_in_one_line(code: str, told: str) -> None:
    expected = rf"^{sys.executable}: {told}; expected what \.aarch64/ is made from$"
    with pytest.raises(InputError, match=expected):
        aarch64.run(sys.executable, "-c", code)
