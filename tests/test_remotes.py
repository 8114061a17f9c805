"""What docs/remotes.md says, done: results pushed from one clone, and pulled into another."""

import getpass
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.sandbox import Proof, Sandbox, recorded, snapshot
from tests.test_pipeline import repro
from tools.project import is_whole, stored

pytestmark = pytest.mark.long
MODEL = Path("models/mlp.safetensors")
TAGGER = ("-c", "user.name=a", "-c", "user.email=a@b")


class Remote(NamedTuple):
    """A folder with results, what DVC calls it, and the settings that each clone has for itself."""

    folder: Path
    url: str
    private: dict[str, str]

    def hold(self, path: Path, box: Sandbox) -> Path:
        """Return the file in which it holds a result."""
        return stored(self.folder, recorded(box.folder, path))

    def make_known(self, box: Sandbox) -> None:
        for name, value in self.private.items():
            box.run("dvc", "remote", "modify", "--local", "results", name, value)


@pytest.fixture
def folder(tmp_path: Path) -> Remote:
    return Remote(tmp_path / "remote", str(tmp_path / "remote"), {})


@pytest.fixture
def ssh(tmp_path: Path) -> Iterator[Remote]:
    """Yield a remote that an SSH server on loopback keeps."""
    pytest.importorskip("dvc_ssh", reason="requirements-remotes.txt is not installed")
    from tests import ssh_server  # noqa: PLC0415  (it needs what dvc-ssh does)

    with ssh_server.serve(tmp_path) as (port, key):
        private = {"user": getpass.getuser(), "keyfile": str(key)}
        yield Remote(tmp_path / "remote", f"ssh://127.0.0.1:{port}{tmp_path}/remote", private)


@pytest.fixture(params=["folder", "ssh"])
def remote(request: pytest.FixtureRequest) -> Remote:
    made: Remote = request.getfixturevalue(request.param)
    return made


@pytest.fixture
def author(proof: Proof) -> Iterator[Sandbox]:
    """Yield a sandbox in which the pipeline has run, and put its history back."""
    commit = proof.box.run("git", "rev-parse", "HEAD").strip()
    yield proof.box
    proof.box.run("git", "reset", "--quiet", "--hard", commit)
    (proof.box.folder / ".dvc" / "config.local").unlink(missing_ok=True)


def share(author: Sandbox, remote: Remote, folder: Path) -> Sandbox:
    """Push the results of a sandbox to a remote that is named in a commit; return a fresh clone."""
    author.run("dvc", "remote", "add", "--default", "results", remote.url)
    author.run("dvc", "remote", "modify", "results", "verify", "true")
    author.commit("Name a remote")
    remote.make_known(author)
    author.run("dvc", "push")
    colleague = author.clone(folder / "colleague")
    remote.make_known(colleague)
    return colleague


@pytest.fixture
def colleague(author: Sandbox, folder: Remote, tmp_path: Path) -> Sandbox:
    """Return a fresh clone, and the results in a folder."""
    return share(author, folder, tmp_path)


def test_a_fresh_clone_pulls_every_result_and_has_nothing_to_do(
    proof: Proof, author: Sandbox, remote: Remote, tmp_path: Path
) -> None:
    colleague = share(author, remote, tmp_path)
    assert str(MODEL) in colleague.run("dvc", "status")
    colleague.run("dvc", "pull")
    assert snapshot(colleague.folder) == proof.quiet
    assert repro(colleague) == []
    assert colleague.run("git", "status", "--porcelain", "--untracked-files=all") == ""


@pytest.mark.usefixtures("colleague")
def test_what_is_there_is_not_pushed_again(author: Sandbox, folder: Remote) -> None:
    assert author.run("dvc", "push") == "Everything is up to date.\n"
    folder.hold(MODEL, author).unlink()
    assert re.search(rf"new: +{MODEL}\n", author.run("dvc", "status", "--cloud"))
    assert author.run("dvc", "push") == "1 file pushed\n"


def test_one_result_can_be_pulled_alone(colleague: Sandbox) -> None:
    colleague.run("dvc", "pull", str(MODEL))
    assert is_whole(colleague.folder / MODEL, recorded(colleague.folder, MODEL))
    assert not (colleague.folder / "data" / "mnist").exists()


def damage(path: Path) -> None:
    """Change a byte, and leave all else as it was."""
    mode, content = path.stat().st_mode, path.read_bytes()
    path.chmod(0o644)
    path.write_bytes(bytes([content[0] ^ 1]) + content[1:])
    path.chmod(mode)


def test_damaged_bytes_are_refused_and_built_again(
    author: Sandbox, remote: Remote, tmp_path: Path
) -> None:
    colleague = share(author, remote, tmp_path)
    damage(remote.hold(MODEL, author))
    pulled = colleague.attempt("dvc", "pull")
    assert pulled.returncode != 0
    assert str(MODEL) in pulled.stderr
    assert not (colleague.folder / MODEL).exists()
    assert repro(colleague) == ["train"]
    assert is_whole(colleague.folder / MODEL, recorded(author.folder, MODEL))


def test_without_verify_dvc_believes_damaged_bytes_and_recovery_does_not(
    author: Sandbox, colleague: Sandbox, folder: Remote
) -> None:
    damage(folder.hold(MODEL, author))
    colleague.run("dvc", "remote", "modify", "results", "verify", "false")
    colleague.run("dvc", "pull")
    assert not is_whole(colleague.folder / MODEL, recorded(author.folder, MODEL))
    assert colleague.run("dvc", "status") == "Data and pipelines are up to date.\n"
    assert f"damaged bytes of {MODEL}" in colleague.recover()
    assert repro(colleague) == ["train"]
    assert is_whole(colleague.folder / MODEL, recorded(author.folder, MODEL))


def test_the_network_and_the_images_are_had_by_their_names(
    author: Sandbox, colleague: Sandbox, tmp_path: Path
) -> None:
    for name in ("mlp", "mnist"):
        colleague.run("git", *TAGGER, "tag", "--annotate", "--message", "x", f"{name}@v1.0.0")
        url, out = colleague.folder.as_uri(), str(tmp_path / name)
        colleague.run("dvc", "artifacts", "get", url, name, "--out", out)
    assert is_whole(tmp_path / "mlp", recorded(author.folder, MODEL))
    assert snapshot(tmp_path / "mnist") == snapshot(author.folder / "data" / "mnist")
