"""What docs/remotes.md says, done: results pushed from one clone, and pulled into another."""

import getpass
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from digits.network.model import MODEL
from tests.sandbox import Proof, Sandbox, recorded, snapshot
from tests.test_pipeline import repro
from tools.project import is_whole, stored

pytestmark = pytest.mark.long
TAGGER = ("-c", "user.name=a", "-c", "user.email=a@b")


@pytest.fixture
def author(proof: Proof) -> Iterator[Sandbox]:
    """Yield a sandbox in which the pipeline has run, and put its history back."""
    commit = proof.box.run("git", "rev-parse", "HEAD").strip()
    yield proof.box
    proof.box.run("git", "reset", "--quiet", "--hard", commit)
    (proof.box.folder / ".dvc" / "config.local").unlink(missing_ok=True)


def share(author: Sandbox, folder: Path, server: str = "", **private: str) -> Sandbox:
    """Push the results to a remote, `folder`, that a commit names; return a fresh clone beside it.

    `private` settings each clone has for itself.
    """

    def make_known(box: Sandbox) -> None:
        for name, value in private.items():
            box.run("dvc", "remote", "modify", "--local", "results", name, value)

    author.run("dvc", "remote", "add", "--default", "results", f"{server}{folder}")
    author.run("dvc", "remote", "modify", "results", "verify", "true")
    author.commit("Name a remote")
    make_known(author)
    author.run("dvc", "push")
    colleague = author.clone(folder.with_name("colleague"))
    make_known(colleague)
    return colleague


@pytest.fixture
def colleague(author: Sandbox, tmp_path: Path) -> Sandbox:
    """Return a fresh clone; the results are in a folder."""
    return share(author, tmp_path / "remote")


@pytest.mark.parametrize("kind", ["folder", "ssh"])
def test_a_fresh_clone_pulls_one_result_or_all_and_has_nothing_to_do(
    proof: Proof, author: Sandbox, tmp_path: Path, kind: str
) -> None:
    with ExitStack() as stack:
        server, private = "", {}
        if kind == "ssh":
            pytest.importorskip("dvc_ssh", reason="the extra remotes")
            from tests import ssh_server  # noqa: PLC0415  (it needs what dvc-ssh does)

            port, key = stack.enter_context(ssh_server.serve(tmp_path))
            server = f"ssh://127.0.0.1:{port}"
            private = {"user": getpass.getuser(), "keyfile": str(key)}
        colleague = share(author, tmp_path / "remote", server, **private)
        assert str(MODEL) in colleague.run("dvc", "status")
        colleague.run("dvc", "pull", str(MODEL))
        assert is_whole(colleague.folder / MODEL, recorded(author.folder, MODEL))
        assert not (colleague.folder / "data" / "mnist").exists()
        colleague.run("dvc", "pull")
    assert snapshot(colleague.folder) == proof.quiet
    assert repro(colleague) == []
    assert colleague.run("git", "status", "--porcelain", "--untracked-files=all") == ""


@pytest.mark.parametrize("verify", ["true", "false"])
def test_damaged_bytes_are_refused_by_dvc_if_it_verifies_and_else_found_by_recovery(
    author: Sandbox, colleague: Sandbox, tmp_path: Path, verify: str
) -> None:
    md5 = recorded(author.folder, MODEL)
    held = stored(tmp_path / "remote", md5)
    content = held.read_bytes()
    held.chmod(0o644)
    held.write_bytes(bytes([content[0] ^ 1]) + content[1:])
    held.chmod(0o444)  # of such a file, DVC believes that it is whole
    colleague.run("dvc", "remote", "modify", "results", "verify", verify)
    pulled = colleague.attempt("dvc", "pull")
    if verify == "true":
        assert pulled.returncode != 0
        assert str(MODEL) in pulled.stderr
        assert not (colleague.folder / MODEL).exists()
    else:
        assert not is_whole(colleague.folder / MODEL, md5)
        assert colleague.run("dvc", "status") == "Data and pipelines are up to date.\n"
        assert f"damaged bytes of {MODEL}" in colleague.recover()
    assert repro(colleague) == ["train"]
    assert is_whole(colleague.folder / MODEL, md5)


def test_the_network_and_the_images_are_had_by_their_names(
    author: Sandbox, colleague: Sandbox, tmp_path: Path
) -> None:
    for name in ("mlp", "mnist"):
        colleague.run("git", *TAGGER, "tag", "--annotate", "--message", "x", f"{name}@v1.0.0")
        url, out = colleague.folder.as_uri(), str(tmp_path / name)
        colleague.run("dvc", "artifacts", "get", url, name, "--out", out)
    assert is_whole(tmp_path / "mlp", recorded(author.folder, MODEL))
    assert snapshot(tmp_path / "mnist") == snapshot(author.folder / "data" / "mnist")
