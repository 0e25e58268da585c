"""Words of the command line that cannot be, and runs that cannot be made: explained, and nothing trained."""

import contextlib
import io
from pathlib import Path
from typing import Any, get_args

import hypothesis
import pytest
from hypothesis import strategies as st

from adaselection import methods
from adaselection.functional import IMPORTANCES
from adaselection.lab import grid as grid_module
from adaselection.lab.arms import arms
from adaselection.lab.cli import main
from adaselection.lab.spec import RunSpec, Split
from adaselection.lab.store import RecordStore
from adaselection.lab.tasks import REGIMES, TASKS
from adaselection.step import CHOICES, CURRICULA, WEIGHTINGS
from lab.smoke import SHORT
from soak.counts import count

WORDS, RUNS = count(40, 800), count(40, 800)
pytestmark = pytest.mark.usefixtures("unchecked")
QUIET = hypothesis.settings(database=None, suppress_health_check=list(hypothesis.HealthCheck))

text = st.text(max_size=9).filter(lambda word: word.strip() not in ("-h", "--help", "-H"))
RANGES: dict[str, tuple[float, float, bool]] = {  # least, most, and whether the least is good
    "rate": (0, 1, False),
    "budget": (0, 10, False),
    "label-noise": (0, 1, True),
    "learning-rate": (0, float("inf"), False),
    "beta": (-1, 1, True),
}
NAMES = ["method", "preset", "regime", "curriculum", "importance", "weighting", "choice", "split", "methods"]


def outside(name: str) -> st.SearchStrategy[float]:
    """Numbers out of a flag's range."""
    least, most, closed = RANGES[name]

    def inside(number: float) -> bool:
        if number == most:
            return name not in ("label-noise", "learning-rate")
        return least < number < most or (closed and number == least)

    return st.one_of(st.floats(), st.sampled_from([-1.0, 2.0, 11.0, 0.0, float("nan")])).filter(lambda x: not inside(x))


def known(word: str) -> bool:
    """Whether a drawn word may by chance be right."""
    return any(part.strip() in KNOWN for part in word.split(",")) or not word.strip(", ")


PRESETS = {name for task in TASKS.values() for name in task.presets}
CHOSEN = {*CHOICES, *CURRICULA, *IMPORTANCES, *WEIGHTINGS, *get_args(Split)}
KNOWN = {*TASKS, *REGIMES, *arms(), *methods("recorded"), *PRESETS, *CHOSEN, "none", "None"}


@st.composite
def commands(draw: st.DrawFn) -> list[str]:
    kind = draw(st.sampled_from(["number", "name", "number", "name", "flag", "task", "command", "words"]))
    if kind == "number":
        name = draw(st.sampled_from(list(RANGES)))
        value = draw(st.one_of(outside(name).map(repr), text.filter(lambda word: not number(word))))
        return ["run", "digits", *SHORT, f"--{name}={value}"]
    if kind == "name":
        name = draw(st.sampled_from(NAMES))
        return [
            "run",
            "digits",
            f"--{name}={draw(text.filter(lambda word: not known(word)))}",
            *([] if name == "preset" else SHORT),
        ]
    if kind == "flag":
        flag = draw(st.from_regex(r"[a-z]{3,9}", fullmatch=True).map(lambda word: f"--no-such-{word}"))
        return [draw(st.sampled_from(["run", "compare"])), "digits", *SHORT, flag, draw(text)]
    if kind == "task":
        return ["run", draw(text.filter(lambda word: not known(word))), *SHORT]
    word = draw(st.one_of(st.from_regex(r"[a-z]{1,12}", fullmatch=True).map(lambda word: f"x{word}"), st.just("")))
    return [word] if kind == "command" else ["compare", "digits", *SHORT, f"--rates={word},x", "--seeds=1"]


def number(word: str) -> bool:
    with contextlib.suppress(ValueError):
        return float(word) is not None
    return False


def test_words_that_cannot_be_are_explained_and_train_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, record_property: Any
) -> None:
    monkeypatch.setattr(grid_module, "train_one", None)
    monkeypatch.chdir(tmp_path)
    refused = 0

    @hypothesis.settings(QUIET, max_examples=WORDS)
    @hypothesis.given(commands())
    def each(words: list[str]) -> None:
        nonlocal refused
        out, said = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(said):
            try:
                code = main(words)
            except SystemExit as stopped:
                code = stopped.code
        assert code in (1, 2), (words, out.getvalue())
        assert said.getvalue().startswith("adaselection: ") if code == 1 else said.getvalue().strip()
        assert "Traceback" not in said.getvalue()
        refused += 1

    each()
    folder = tmp_path / "runs"
    assert not folder.exists() or RecordStore(folder, writable=False).read_all() == ([], [])
    record_property("refused", refused)
    assert refused >= WORDS


FIELDS = {
    "rate": outside("rate"),
    "budget": outside("budget"),
    "label_noise": outside("label-noise"),
    "learning_rate": outside("learning-rate"),
    "seed": st.one_of(st.integers(max_value=-1), st.integers(2**63)),
    **{name: text.filter(lambda word: not known(word)) for name in ("task", "preset", "method", "regime", "split")},
    "irreducible": text.map(lambda word: Path("nowhere", word.replace("\0", "").replace("/", ""))),
}


def test_runs_that_cannot_be_are_refused_before_anything_is_loaded(record_property: Any) -> None:
    refused = 0

    @hypothesis.settings(QUIET, max_examples=RUNS)
    @hypothesis.given(st.sampled_from(list(FIELDS)).flatmap(lambda name: FIELDS[name].map(lambda value: {name: value})))
    def each(given: dict[str, Any]) -> None:
        nonlocal refused
        with pytest.raises((ValueError, FileNotFoundError)):
            RunSpec(**{"task": "digits", "preset": "smoke"} | given)
        refused += 1

    each()
    record_property("refused", refused)
    assert refused >= RUNS
