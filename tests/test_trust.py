"""A pickle with code in it, in the place of each file that a stage reads, is never executed."""

import io
import pickle
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

from digits.data.answers import write_answers
from digits.errors import InputError
from digits.evaluation.label_errors import SUSPECTS, write_suspects
from tests.sandbox import ROOT, draw_images

STAGES: dict[str, Any] = yaml.safe_load((ROOT / "dvc.yaml").read_text("utf-8"))["stages"]


class Malicious:
    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return (Path.mkdir, (Path("executed"),))


def harmful() -> dict[str, bytes]:
    """Return files that do harm where they are unpickled, by what reads them."""
    array, weights = io.BytesIO(), io.BytesIO()
    np.save(array, np.array([Malicious()], dtype=object), allow_pickle=True)
    torch.save(Malicious(), weights)
    return {
        "pickle": pickle.dumps(Malicious()),
        "numpy": array.getvalue(),
        "torch": weights.getvalue(),
    }


def files_read(stage: str) -> list[Path]:
    """Return the files that a stage reads, code and the page's sources aside."""
    deps = [dep for dep in STAGES[stage]["deps"] if not dep.startswith(("digits/", "stages/"))]
    named = {"${data.train}": "train.csv", "${data.test}": "test.csv"}
    paths = [Path("params.yaml"), *(Path(named.get(dep, dep)) for dep in deps)]
    files = [file for path in paths for file in (sorted(path.glob("*")) or [path])]
    # In the folders of those that train and evaluate read, but for the report alone.
    return [file for file in files if stage == "report" or file.name != "rows.npy"]


@pytest.mark.parametrize("kind", harmful())
def test_no_stage_executes_a_pickle_whichever_file_it_stands_for(project: Path, kind: str) -> None:
    write_answers(Path("data/mnist/answers.csv"), *draw_images(12, seed=1))
    write_suspects(SUSPECTS, [], ())
    later = [stage for stage in STAGES if stage != "download"]
    for stage in later:
        import_module(f"stages.{stage}").main()
    for stage in STAGES:
        for path in files_read(stage):
            before = path.read_bytes()
            path.write_bytes(harmful()[kind])
            with pytest.raises(InputError) as error:
                import_module(f"stages.{stage}").main()
            path.write_bytes(before)
            assert "\n" not in str(error.value)
            assert not Path("executed").exists()


def test_the_files_would_do_harm(project: Path) -> None:
    files = harmful()
    pickle.loads(files["pickle"])  # noqa: S301
    Path("executed").rmdir()
    np.load(io.BytesIO(files["numpy"]), allow_pickle=True)
    Path("executed").rmdir()
    torch.load(io.BytesIO(files["torch"]), weights_only=False)
    assert Path("executed").is_dir()
