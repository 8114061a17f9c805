"""An SSH server on loopback that lets in whoever has one key, and gives them files by SFTP."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import asyncssh


async def _listen(users: Path) -> asyncssh.SSHAcceptor:
    return await asyncssh.listen(
        "127.0.0.1",
        0,
        server_host_keys=[asyncssh.generate_private_key("ssh-ed25519")],
        authorized_client_keys=str(users),
        sftp_factory=True,
    )


@contextmanager
def serve(folder: Path) -> Iterator[tuple[int, Path]]:
    """Run a server; yield its port, and the file of the user's key, which it makes in `folder`."""
    key = asyncssh.generate_private_key("ssh-ed25519")
    key.write_private_key(folder / "user")
    key.write_public_key(folder / "user.pub")
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    server = asyncio.run_coroutine_threadsafe(_listen(folder / "user.pub"), loop).result()
    try:
        yield server.get_port(), folder / "user"
    finally:
        loop.call_soon_threadsafe(server.close)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
