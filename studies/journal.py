"""The journal of a study: the networks trained so far, so that a study that was stopped goes on."""

import json
import shutil
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self, cast

from digits.errors import InputError
from digits.files import write_json
from digits.network.model import MLP, Ensemble, load_model, save_model
from studies.trial import Fit


@dataclass(frozen=True)
class Journal:
    """A folder with two files for each training that has ended: its network, then a record."""

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
        write_json(self.folder / f"{name}.json", {"seconds": fit.seconds})

    def read(self, name: str, pixels: int, classes: int) -> Fit | None:
        """Return what a training came to; None if it has not ended, or a file of it is damaged."""
        with suppress(OSError, ValueError, LookupError, TypeError, InputError):
            record = json.loads((self.folder / f"{name}.json").read_bytes())
            [network] = load_model(self.folder / name, pixels, classes).networks
            return Fit(cast("MLP", network), float(record["seconds"]))
        return None

    def remove(self) -> None:
        """Remove the journal of a study that has ended."""
        shutil.rmtree(self.folder, ignore_errors=True)
