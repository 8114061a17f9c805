from collections import Counter
from pathlib import Path

import pytest

from digits.errors import InputError
from digits.params import load_yaml
from tests.sandbox import ROOT
from tools import mutation
from tools.mutation import draw, is_equivalent, module_of, report

FAULTS = [f"digits.exact.x_f__mutmut_{number}" for number in range(90)]
FAULTS += [f"digits.data.xǁAǁf__mutmut_{number}" for number in range(9)]
EXACT, DATA = Path("digits/exact.py"), Path("digits/data/__init__.py")
DIFF = """\
--- digits/exact.py
+++ digits/exact.py
@@ -1,2 +1,2 @@
 def f() -> int:
-    return 1
+    return 2
"""


def test_a_sample_has_faults_of_each_module_by_its_lines_and_is_the_same_each_time() -> None:
    drawn = draw(FAULTS, 20, {EXACT: 900, DATA: 100})
    assert Counter(map(module_of, drawn)) == {EXACT: 18, DATA: 2}
    assert drawn == draw(FAULTS[::-1], 20, {EXACT: 900, DATA: 100})
    assert Counter(map(module_of, draw(FAULTS, 500, {EXACT: 900, DATA: 1}))) == {EXACT: 90, DATA: 1}


def test_what_is_not_caught_is_shown_unless_it_is_known_to_change_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    known = tmp_path / "equivalent.yaml"
    known.write_text("faults:\n- {code: return 1, faults: [return 2], why: it is odd}\n")
    monkeypatch.setattr(mutation, "EQUIVALENT", known)
    diffs = {FAULTS[1]: DIFF, FAULTS[2]: DIFF.replace("2\n", "3\n"), FAULTS[91]: "no test"}
    monkeypatch.setattr(mutation, "mutmut", lambda _, name: diffs[name])
    states = dict.fromkeys([*FAULTS[:10], *FAULTS[90:]], "killed") | {FAULTS[0]: "timeout"}
    states |= dict.fromkeys(FAULTS[1:3], "survived") | {FAULTS[91]: "no tests"}
    assert list(report(states)) == [
        "| module | faults | caught | |\n| --- | ---: | ---: | ---: |",
        "| digits/data/__init__.py | 9 | 8 | 89% |",
        "| digits/exact.py | 9 | 8 | 89% |",
        "| all | 18 | 16 | 88.9% |",
        "\n1 more are known to change nothing",
        "no test",
        diffs[FAULTS[2]],
    ]


@pytest.mark.parametrize(
    ("code", "fault", "is_known"),
    [
        ("f(1, 1)", "f(1, 2)", True),
        ("1", "2", True),
        ("1", "3", False),
        ("f(1", "f(2", False),
        ("return", "return 2", False),
    ],
)
def test_a_fault_is_known_by_any_part_of_its_line_that_it_replaces(
    code: str, fault: str, is_known: bool
) -> None:
    diff = DIFF.replace("return 1", "return f(1, 1)").replace("return 2", "return f(1, 2)")
    known = [{"code": "x", "faults": ["y"]}, {"code": code, "faults": ["0", fault]}]
    assert is_equivalent(diff, known) == is_known


def test_what_is_known_to_change_nothing_stands_in_the_code() -> None:
    paths = [path for name in ("digits", "stages") for path in (ROOT / name).rglob("*.py")]
    code = "".join(path.read_text("utf-8") for path in paths)
    known = load_yaml(ROOT / mutation.EQUIVALENT, "faults")["faults"]
    assert [one["code"] for one in known if one["code"] not in code] == []
    assert all(one["faults"] and one["why"] for one in known)


def test_of_modules_without_faults_none_are_tried(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("tools.mutation.shutil.rmtree", lambda *_, **__: None)
    monkeypatch.setattr(mutation, "find_commit", str.upper)
    monkeypatch.setattr(mutation, "mutmut", lambda *_, **__: f"    {FAULTS[0]}: not checked")
    for changed in ([], [Path("stages/__main__.py")]):
        monkeypatch.setattr(mutation, "find_changed", lambda *_, found=changed: found)
        mutation.main("head", 9)
        assert capsys.readouterr().out.endswith("faults are put into differs from head\n")
    monkeypatch.setattr(mutation, "find_changed", lambda *found: [EXACT] * (found[0] == "HEAD"))
    with pytest.raises(InputError, match=f"{FAULTS[0]}: not checked; expected it caught or miss"):
        mutation.main("head", 9)


def test_faults_that_were_not_tried_are_no_result(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tools.mutation.shutil.rmtree", lambda *_, **__: None)
    monkeypatch.setattr(mutation, "mutmut", lambda *_, **__: "")
    with pytest.raises(InputError, match="made no faults; expected the tests to pass"):
        mutation.main(None, 9)
    monkeypatch.setattr(mutation, "read_results", lambda: {FAULTS[0]: "not checked"})
    with pytest.raises(InputError, match=f"{FAULTS[0]}: not checked; expected it caught or miss"):
        mutation.main(None, 9)
