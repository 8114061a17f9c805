"""A pickle with code in it, in the place of each file that a stage reads, is never executed."""

import io
import pickle
from collections.abc import Callable
from functools import partial
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import torch

from digits.data.answers import write_answers
from digits.errors import InputError
from digits.evaluation.label_errors import SUSPECTS, write_suspects
from tests.sandbox import draw_images
from tests.test_pipeline import STAGES

# In the folders that stages read.
UNREAD = {
    "train": ("pixels.npy", "rows.npy"),
    "predict": ("pixels.npy",),
    "report": ("images.npy",),
}


CODE = ("digits/", "stages/", "recipes")


class Malicious:
    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return (Path.mkdir, (Path("executed"),))


def files_read(stage: str) -> list[Path]:
    """Return the files that a stage reads, code and the page's sources aside."""
    deps = [dep for dep in STAGES[stage]["deps"] if not dep.startswith(CODE)]
    named = {"${data.train}": "train.csv", "${data.test}": "test.csv"}
    paths = [Path(named.get(dep, dep)) for dep in deps]
    paths += [Path("params.yaml")] * ("params" in STAGES[stage])
    files = [file for path in paths for file in (sorted(path.glob("*")) or [path])]
    return [file for file in files if file.name not in UNREAD.get(stage, ())]


@pytest.mark.parametrize(
    ("save", "load"),
    [
        (pickle.dump, pickle.load),
        (lambda harm, file: np.save(file, np.array([harm])), partial(np.load, allow_pickle=True)),
        (torch.save, partial(torch.load, weights_only=False)),
    ],
    ids=["pickle", "numpy", "torch"],
)
def test_no_stage_executes_a_pickle_whichever_file_it_stands_for(
    project: Path, save: Callable[..., None], load: Callable[..., object]
) -> None:
    harmful = io.BytesIO()
    save(Malicious(), harmful)
    write_answers(Path("data/mnist/answers.csv"), *draw_images(12, seed=1))
    write_suspects(SUSPECTS, [], ())
    mains = {stage: import_module(f"stages.{stage}").main for stage in STAGES}
    for stage in [stage for stage in STAGES if stage != "download"]:
        mains[stage]()
    for stage, main in mains.items():
        for path in files_read(stage):
            before = path.read_bytes()
            path.write_bytes(harmful.getvalue())
            with pytest.raises(InputError, match=r"\A.*\Z"):
                main()
            path.write_bytes(before)
            assert not Path("executed").exists()
    load(io.BytesIO(harmful.getvalue()))
    assert Path("executed").exists()
