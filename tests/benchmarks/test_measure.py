import os
import sys
from pathlib import Path

import pytest

from benchmarks.measure import run

HOLD = "import time; held = bytearray(200_000_000); time.sleep(1.5); print('held')"
WORK = "import time; end = time.process_time() + 0.3\nwhile time.process_time() < end: pass"


def test_the_memory_of_a_child_counts_for_the_whole_command(tmp_path: Path) -> None:
    outer = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {HOLD!r}], check=True)"
    cost = run([sys.executable, "-c", outer], tmp_path, os.environ)
    assert 200e6 < cost.memory < 400e6
    assert cost.wall > 1.5
    assert cost.output == "held\n"


def test_processor_time_is_that_of_the_command_alone(tmp_path: Path) -> None:
    worked = run([sys.executable, "-c", WORK], tmp_path, os.environ)
    slept = run([sys.executable, "-c", "import time; time.sleep(0.4)"], tmp_path, os.environ)
    assert worked.cpu > 0.3 > slept.cpu
    assert slept.wall > 0.4


def test_a_command_that_fails_is_no_measurement(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="no such thing"):
        run([sys.executable, "-c", "import sys; sys.exit('no such thing')"], tmp_path, os.environ)
