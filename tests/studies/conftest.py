"""Studies without Ray, in a repository with prepared data."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from studies.trial import Rows, train_network


class OneAfterTheOther:
    """Stands in for a cluster: runs tasks in this process, the last first."""

    def __init__(self, rows: Rows) -> None:
        for array in (rows.pixels, rows.labels, rows.folds, rows.test, rows.truth):
            array.flags.writeable = False  # as Ray gives them
        self.rows = rows
        self.trained = 0

    def run(
        self, function: Callable[..., Any], tasks: Mapping[Any, tuple[Any, ...]]
    ) -> Iterator[tuple[Any, Any]]:
        for key, arguments in reversed(list(tasks.items())):
            self.trained += function is train_network
            yield key, function(*arguments, self.rows)


@pytest.fixture
def clusters(repository: Path, monkeypatch: pytest.MonkeyPatch) -> list[OneAfterTheOther]:
    """Return a list of all stand-ins for clusters that come to be used."""
    pytest.importorskip("ray", reason="the extra studies")
    used: list[OneAfterTheOther] = []

    @contextmanager
    def cluster(rows: Rows) -> Iterator[OneAfterTheOther]:
        used.append(OneAfterTheOther(rows))
        yield used[-1]

    monkeypatch.setattr("studies.run.cluster", cluster)
    monkeypatch.setattr("sys.argv", ["run", "study.yaml"])
    return used
