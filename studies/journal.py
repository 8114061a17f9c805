"""The journal of a study: the networks trained so far, so that a study that was stopped goes on."""

import hashlib
import json
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Self, cast

from digits.errors import InputError, expecting
from digits.files import write_json
from digits.network.model import MLP, Ensemble, load_model, save_model
from digits.params import Params
from studies.trial import Fit


def name_training(origin: str, params: Params, fold: int, folds: int) -> str:
    """Return a SHA-256 of all that decides what a training comes to.

    Args:
        origin: what `digits.network.checkpoint.identify` returned for the labelled rows.
        params: of one network.
        fold: the one held out.
        folds: of the study.
    """
    settings = (origin, params.train, fold, folds)
    return hashlib.sha256(repr(settings).encode()).hexdigest()


@dataclass(frozen=True)
class Journal:
    """A folder with two files for each training that has ended: its network, and a record of it.

    Attributes:
        folder: which need not be there yet.
    """

    folder: Path

    @classmethod
    def of(cls, study: Path) -> Self:
        """Return the journal of the study whose file that is."""
        return cls(study.with_suffix(".journal"))

    def count(self) -> int:
        """Return how many trainings have ended."""
        return len(list(self.folder.glob("*.json")))

    def add(self, name: str, fit: Fit) -> None:
        """Write down what the training of that name came to."""
        save_model(Ensemble([fit.network]), self.folder / name)
        write_json(self._record(name), {"seconds": fit.seconds})

    def read(self, name: str, pixels: int, classes: int) -> Fit | None:
        """Return what a training came to, or None if it has not ended or is damaged, which is told.

        Args:
            name: of the training.
            pixels: of each image.
            classes: of the labels.
        """
        record = self._record(name)
        try:
            with expecting(record, "what a study wrote down", ValueError, LookupError, TypeError):
                seconds = float(json.loads(record.read_bytes())["seconds"])
                [network] = load_model(self.folder / name, pixels, classes).networks
            return Fit(cast("MLP", network), seconds)
        except InputError as error:
            if record.exists():
                print(f"warning: {error}; this network is trained again", file=sys.stderr)
        return None

    def remove(self) -> None:
        """Remove the journal of a study that has ended."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _record(self, name: str) -> Path:
        return self.folder / f"{name}.json"
