import re
import sys
from pathlib import Path

import pytest

from benchmarks import peers
from benchmarks.measure import PEERS, printed, run, score
from digits.params import Params
from tests.sandbox import PINNED, ROOT, SEED, read_recipe

FOLDER = ROOT / "benchmarks"
HOLD = "import time; held = bytearray(200_000_000); time.sleep(1.5); print('held', 2)"
WORK = "import time; end = time.process_time() + 0.3\nwhile time.process_time() < end: pass"


def test_time_and_memory_of_a_child_count_for_the_whole_command(tmp_path: Path) -> None:
    outer = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {HOLD!r}], check=True)"
    cost, output = run([sys.executable, "-c", outer], tmp_path)
    assert 200 < cost["anonymous"] < cost["memory"] < 400
    assert cost["wall"] > 1.5
    assert printed(output, "held") == 2
    worked, _ = run([sys.executable, "-c", WORK], tmp_path)
    slept, _ = run([sys.executable, "-c", "import time; time.sleep(0.4)"], tmp_path)
    assert worked["cpu"] > 0.3 > slept["cpu"]
    with pytest.raises(RuntimeError, match="no such thing"):
        run([sys.executable, "-c", "import sys; sys.exit('no such thing')"], tmp_path)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells them apart")
def test_mapped_pages_are_no_anonymous_memory(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(bytes(200_000_000))
    lines = (
        "import mmap, time",
        "file = open('file')",
        "pages = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)",
        "sum(pages[::4096])",
        "time.sleep(1)",
    )
    cost, _ = run([sys.executable, "-c", "\n".join(lines)], tmp_path)
    assert cost["anonymous"] < 50 < 200 < cost["memory"]


def test_a_score_is_the_share_of_right_labels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("benchmarks.measure.ROOT", tmp_path)
    (tmp_path / "data/mnist").mkdir(parents=True)
    (tmp_path / "submission.csv").write_text("ImageId,Label\n1,7\n2,1\n3,0\n4,4\n")
    (tmp_path / "data/mnist/solution.csv").write_text("ImageId,Label\n1,7\n2,2\n3,0\n4,4\n")
    assert score(tmp_path) == 0.75


def test_every_peer_does_the_notebooks_recipe() -> None:
    params = Params.model_validate(read_recipe(SEED))
    train = params.train
    assert round(params.prepare.validation * 42_000) == peers.VALIDATION
    assert (784, *train.widths, 10) == peers.WIDTHS
    assert (train.epochs, train.batch_size) == (peers.EPOCHS, peers.BATCH)
    expected = (peers.LEARNING_RATE, peers.MOMENTUM, peers.WEIGHT_DECAY)
    assert (train.lr, train.momentum, train.weight_decay) == expected
    assert (train.rows, train.schedule, train.decayed) == ("train", "constant", "all")
    for name in ("label_smoothing", "batch_norm", "dropout", "input_noise", "hidden_noise"):
        assert not getattr(train, name), name
    assert (train.nesterov, train.averaging, train.seed, train.networks) == (False, 0, 0, 1)
    assert not any(value for name, value in train.augment if name != "smoothness")
    assert all((FOLDER / "peers" / f"{module}.py").exists() for module in PEERS.values())


def test_the_versions_of_the_peers_are_pinned_and_their_torch_is_ours() -> None:
    pins = (FOLDER / "requirements.txt").read_text().splitlines()
    lines = [line for line in pins if line and not line.startswith("#")]
    ours = re.findall(r"^([\w-]+)==", PINNED.read_text(), re.MULTILINE)
    for line in lines:
        name, _, pinned = line.partition("==")
        assert bool(pinned) is (re.sub("[-_.]+", "-", name.lower()) not in ours), name
