"""What docs/remotes.md says, done: results pushed from one clone, and pulled into another."""

import asyncio
import getpass
import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from queue import Queue
from threading import Thread

import pytest

from digits.network.model import MODEL
from tests.sandbox import Proof, Sandbox, recorded, snapshot
from tests.test_pipeline import find_run
from tools.project import is_whole

pytestmark = pytest.mark.long
TAG = ("git", "-c", "user.name=a", "-c", "user.email=a@b", "tag", "--annotate", "--message=x")


def serve_ssh(folder: Path) -> int:
    """Let in by SSH whoever has the key `folder`/user, which this makes; return the port."""
    asyncssh = pytest.importorskip("asyncssh", reason="the extra remotes")
    key = asyncssh.generate_private_key("ssh-ed25519")
    key.write_private_key(folder / "user")
    key.write_public_key(folder / "user.pub")
    ports = Queue[int]()

    async def listen() -> None:
        users = str(folder / "user.pub")
        own = asyncssh.generate_private_key("ssh-ed25519")
        server = await asyncssh.listen(
            "127.0.0.1", server_host_keys=[own], authorized_client_keys=users, sftp_factory=True
        )
        ports.put(server.get_port())
        await server.wait_closed()  # as long as this process runs

    Thread(target=asyncio.run, args=(listen(),), daemon=True).start()
    return ports.get(timeout=30)


@pytest.fixture
def author(proof: Proof) -> Iterator[Sandbox]:
    """Yield a sandbox in which the pipeline has run, and put its history and results back."""
    commit = proof.box.run("git", "rev-parse", "HEAD").strip()
    yield proof.box
    proof.box.run("git", "reset", "--quiet", "--hard", commit)
    (proof.box.folder / ".dvc" / "config.local").unlink(missing_ok=True)
    proof.box.run("dvc", "checkout", "--quiet")
    shutil.rmtree(proof.box.folder / "data" / "own", ignore_errors=True)


@pytest.mark.parametrize("kind", ["folder", "ssh"])
def test_results_are_had_one_by_one_and_all_in_a_clone_with_nothing_to_do_and_by_name(
    proof: Proof, author: Sandbox, tmp_path: Path, kind: str
) -> None:
    remote, private = str(tmp_path / "remote"), {}
    if kind == "ssh":
        remote = f"ssh://127.0.0.1:{serve_ssh(tmp_path)}{remote}"
        private = {"user": getpass.getuser(), "keyfile": str(tmp_path / "user")}
    author.run("dvc", "remote", "add", "--default", "results", remote)
    author.run("dvc", "remote", "modify", "results", "verify", "true")
    author.commit("Name a remote")
    author.run("git", "clone", "--quiet", ".", str(tmp_path / "colleague"))
    colleague = replace(author, folder=tmp_path / "colleague")
    for box in (author, colleague):
        for name, value in private.items():
            box.run("dvc", "remote", "modify", "--local", "results", name, value)
    author.run("dvc", "push")
    colleague.run("dvc", "pull", str(MODEL))
    assert is_whole(colleague.folder / MODEL, recorded(author.folder, MODEL))
    assert not (colleague.folder / "data" / "mnist").exists()
    colleague.run("dvc", "pull")
    assert snapshot(colleague.folder) == proof.quiet
    assert find_run(colleague.run("dvc", "repro")) == []
    assert colleague.run("git", "status", "--porcelain", "--untracked-files=all") == ""
    source, own = colleague.folder.as_uri(), [f"{name}={value}" for name, value in private.items()]
    colleague.run(*TAG, "mlp@v1.0.0")
    get = ("dvc", "artifacts", "get", source, "mlp", "--out=network", "--remote-config")
    colleague.run(*get, *own)
    assert is_whole(colleague.folder / "network", recorded(author.folder, MODEL))


def test_data_of_ones_own_is_versioned_pulled_and_found_by_experiments_in_the_queue(
    author: Sandbox, tmp_path: Path
) -> None:
    own = author.folder / "data" / "own"
    shutil.copytree(author.folder / "data" / "mnist", own)
    for name in ("train.csv", "test.csv"):
        author.run("dvc", "add", f"data/own/{name}")
        author.edit("params.yaml", f"data/mnist/{name}", f"data/own/{name}")
    author.run("dvc", "remote", "add", "--default", "results", str(tmp_path / "remote"))
    author.run("dvc", "repro")
    author.commit("Use our own images")
    tracked = author.run("git", "ls-files", "data/own").split()
    assert tracked == ["data/own/test.csv.dvc", "data/own/train.csv.dvc"]
    author.run("dvc", "push")
    author.run("git", "clone", "--quiet", ".", str(tmp_path / "colleague"))
    colleague = replace(author, folder=tmp_path / "colleague")
    colleague.run("dvc", "pull")
    assert find_run(colleague.run("dvc", "repro")) == []
    colleague.run("dvc", "exp", "run", "--queue", "-S", "prepare.seed=7", "--name", "other")
    colleague.run("dvc", "exp", "run", "--run-all")
    told = colleague.run("dvc", "exp", "show", "--csv", "--only-changed", "--hide-workspace")
    assert re.search("^other,.*,7(,|$)", told, re.MULTILINE)
