from pathlib import Path

from benchmarks.workspace import MADE, Workspace
from digits.params import load_params
from tests.sandbox import ROOT


def test_a_workspace_is_the_project_with_a_recipe_and_without_results(tmp_path: Path) -> None:
    recipe = ROOT / "recipes" / "seed.yaml"
    workspace = Workspace(tmp_path / "copy", recipe, {"prepare.seed": 3, "train.lr": 0.5})
    params = load_params(workspace.folder / "params.yaml")
    assert (params.prepare.seed, params.train.lr) == (3, 0.5)
    for name in ("dvc.yaml", "digits/network/model.py", ".dvc/config", ".gitignore"):
        assert (workspace.folder / name).read_bytes() == (ROOT / name).read_bytes()
    assert not any((workspace.folder / name).exists() for name in MADE)
    assert workspace.run("git", "rev-parse", "--is-inside-work-tree").output == "true\n"


def test_a_workspace_trains_on_the_cpu_as_the_peers_do(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "copy", ROOT / "recipes" / "seed.yaml", {})
    assert workspace.run("printenv", "DIGITS_DEVICE").output == "cpu\n"


def test_clearing_leaves_nothing_that_a_stage_or_dvc_made(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "copy", ROOT / "recipes" / "seed.yaml", {})
    for name in ("data/prepared/train/images.npy", "dvc.lock", ".dvc/cache/a", ".dvc/site/b"):
        path = workspace.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    workspace.clear()
    workspace.clear()
    assert not any((workspace.folder / name).exists() for name in MADE)
    assert (workspace.folder / "data" / "README.md").exists()


def test_the_files_of_a_stage_are_those_in_the_lock(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "copy", ROOT / "recipes" / "seed.yaml", {})
    folder = workspace.folder / "data" / "prepared"
    (folder / "train").mkdir(parents=True)
    for name in ("statistics.json", "train/images.npy", "train/labels.npy"):
        (folder / name).touch()
    (workspace.folder / "dvc.lock").write_text(
        "schema: '2.0'\nstages:\n  train:\n    cmd: x\n    deps:\n"
        f"    - path: data/prepared/statistics.json\n      md5: {'a' * 32}\n"
        f"    - path: data/prepared/train\n      md5: {'b' * 32}.dir\n"
    )
    names = {str(path.relative_to(folder)) for path in workspace.files("train", "deps")}
    assert names == {"statistics.json", "train/images.npy", "train/labels.npy"}
