import shutil
from copy import copy
from pathlib import Path
from typing import Any

import pytest

from tests.sandbox import Sandbox


@pytest.fixture(scope="session")
def subfolder(proof: Any, tmp_path_factory: pytest.TempPathFactory) -> Sandbox:
    """Return a sandbox in a folder of a larger repository, where the pipeline has run."""
    box: Sandbox = copy(proof.box)
    larger: Path = tmp_path_factory.mktemp("larger")
    box.folder = larger / "ml" / "digits"
    shutil.copytree(proof.box.folder, box.folder, ignore=shutil.ignore_patterns(".git"))
    (larger / "other").write_text("of no stage")
    box.run("git", "init", "--quiet", str(larger))
    box.run("git", "add", "--all", "../..")
    box.commit("Begin")
    (larger / "other").write_text("changed")
    return box
