import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from digits.errors import InputError
from tests.sandbox import ROOT
from tools import doctor, machine
from tools.doctor import Finding


def test_every_line_says_its_state_and_one_that_is_wrong_makes_the_whole_wrong(
    capsys: pytest.CaptureFixture[str],
) -> None:
    fine = [Finding("ok", "a"), Finding("note", "b")]
    assert doctor.tell(fine)
    assert not doctor.tell([*fine, Finding("wrong", "c"), Finding("ok", "d")])
    assert capsys.readouterr().out.splitlines()[2:] == [
        "ok     a",
        "note   b",
        "wrong  c",
        "ok     d",
    ]


def test_everything_is_looked_at_and_a_fault_ends_in_an_error(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("requirements.txt").write_text(f"numpy=={version('numpy')}\n")
    for name in doctor.EXTRAS:
        Path(name).write_text("nothing-of-that-name==1.0\n")
    monkeypatch.setattr(doctor, "DISK", 0.0)
    monkeypatch.setattr(doctor, "MEMORY", 0.0)
    doctor.main()
    told = capsys.readouterr().out
    assert "ok     every version as in requirements.txt\n" in told
    assert (
        "note   requirements-studies.txt: not installed as pinned; make study does that\n" in told
    )
    monkeypatch.setattr(doctor, "DISK", 1e9)
    with pytest.raises(InputError, match="expected it mended before make repro"):
        doctor.main()
    assert "GB of disk free; expected 1e+09\n" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("found", "state"), [((3, 10), "wrong"), ((3, 11), "ok"), ((3, 13), "ok"), ((3, 14), "wrong")]
)
def test_other_versions_of_python_are_wrong(found: tuple[int, int], state: str) -> None:
    assert doctor.check_python(found).state == state


def test_a_version_that_is_not_the_pinned_one_is_wrong(tmp_path: Path) -> None:
    path = tmp_path / "requirements.txt"
    path.write_text(f"# A comment.\nnumpy=={version('numpy')}\nnothing-of-that-name==1.0\n")
    found = doctor.check_versions(path)
    assert found.state == "wrong"
    assert "nothing-of-that-name missing, pinned 1.0; rm -rf .venv && make setup" in found.words


def test_of_many_versions_the_first_are_named(tmp_path: Path) -> None:
    path = tmp_path / "requirements.txt"
    path.write_text("".join(f"nothing-{number}==1.0\n" for number in range(10)))
    found = doctor.check_versions(path)
    assert "nothing-7 missing, pinned 1.0 and 2 more; rm -rf" in found.words


def run_without_packages(folder: Path) -> subprocess.CompletedProcess[str]:
    (folder / "params.yaml").write_bytes((ROOT / "params.yaml").read_bytes())
    for path in ROOT.glob("requirements*.txt"):
        (folder / path.name).write_bytes(path.read_bytes())
    # -S: without the packages of the environment.
    command = [sys.executable, "-S", "-m", "tools.doctor"]
    paths = {"PYTHONPATH": str(ROOT)}
    return subprocess.run(
        command, cwd=folder, env=os.environ | paths, capture_output=True, text=True, check=False
    )


def test_before_anything_is_installed_the_machine_is_looked_at_all_the_same(
    tmp_path: Path,
) -> None:
    told = run_without_packages(tmp_path).stdout
    assert "note   .venv: nothing is installed yet; make repro does that\n" in told
    assert f"ok     {machine.describe_processor()}\n" in told
    assert "GB of memory; expected 1\n" in told


def test_an_environment_without_its_packages_is_wrong(tmp_path: Path) -> None:
    (tmp_path / ".venv").mkdir()
    ran = run_without_packages(tmp_path)
    assert ran.returncode == 1
    assert ran.stderr == "error: what is wrong above; expected it mended before make repro\n"
    assert "wrong  other than in requirements.txt: torch missing, pinned " in ran.stdout
    assert "; No module named 'torch'\n" in ran.stdout


def test_a_device_that_cannot_be_used_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    assert doctor.check_platform() == Finding("ok", machine.describe())
    monkeypatch.setenv("DIGITS_DEVICE", "tpu")
    found = doctor.check_platform()
    assert found.state == "wrong"
    assert found.words.startswith(f"{machine.describe_processor()}; environment: DIGITS_DEVICE")


def test_all_that_is_optional_is_looked_for() -> None:
    assert sorted(doctor.EXTRAS) == sorted(path.name for path in ROOT.glob("requirements-*.txt"))


def test_any_name_of_a_program_will_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "other").touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    _, found = doctor.check_programs({("none", "other"): "nobody needs it"})
    assert found == Finding("ok", f"none: {tmp_path / 'other'}")


def test_a_program_that_is_missing_is_named_with_what_needs_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("shutil.which", lambda *_, **__: None)
    git, other = doctor.check_programs({("qemu-x86_64",): "make emulate needs it"})
    assert git == Finding("wrong", "git: missing; DVC needs it")
    assert other == Finding("note", "qemu-x86_64: missing; make emulate needs it")
