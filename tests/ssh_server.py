"""An OpenSSH server on loopback that lets the user of this process in, by one key."""

import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from socketserver import BaseRequestHandler, ThreadingTCPServer
from typing import Any

import pytest

SSHD = shutil.which("sshd", path=f"{os.environ['PATH']}{os.pathsep}/usr/sbin{os.pathsep}/sbin")
# StrictModes would refuse keys in a folder under /tmp, to which everybody may write.
CONFIG = """\
HostKey {folder}/host
AuthorizedKeysFile {folder}/user.pub
AuthenticationMethods publickey
StrictModes no
PidFile none
Subsystem sftp internal-sftp
"""


@dataclass(frozen=True)
class Server:
    """A server that is running.

    Attributes:
        port: where it listens.
        key: the file of the user's private key.
    """

    port: int
    key: Path


@contextmanager
def serve(folder: Path) -> Iterator[Server]:
    """Run a server whose keys, settings and log lie in `folder`; skip the test where none can run.

    The kernel chooses the port. Each connection has an sshd of its own, as under inetd, and none
    outlives the server.
    """
    if SSHD is None:
        pytest.skip("no sshd: Debian's package openssh-server")
    for name in ("host", "user"):
        key = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)]
        subprocess.run(key, check=True)
    config = folder / "config"
    config.write_text(CONFIG.format(folder=folder))
    check(SSHD, config)
    command = [SSHD, "-i", "-f", str(config), "-E", str(folder / "log")]
    with _listen(command) as port:
        yield Server(port, folder / "user")


def check(sshd: str, config: Path) -> None:
    """Let sshd check its settings."""
    ran = subprocess.run([sshd, "-t", "-f", config], capture_output=True, text=True, check=False)
    if "Missing privilege separation directory" in ran.stderr:
        pytest.skip(f"sshd, run by root: {ran.stderr.strip()}")
    assert ran.returncode == 0, ran.stderr


@contextmanager
def _listen(command: list[str]) -> Iterator[int]:
    """Give each connection to a new process, on its standard input and output; yield the port."""
    running: list[subprocess.Popen[bytes]] = []

    class Handler(BaseRequestHandler):
        request: Any

        def handle(self) -> None:
            process = subprocess.Popen(command, stdin=self.request, stdout=self.request)
            running.append(process)
            process.wait()

    with ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            for process in running:
                process.terminate()
