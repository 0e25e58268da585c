"""The live view: everything on a terminal, one line a run elsewhere."""

import io
import re
from dataclasses import replace

import pytest
from rich.console import Console

from adaselection import RecordedReport, Report
from adaselection.lab.grid import Due
from adaselection.lab.live import RunView, bar, describe, facts
from adaselection.lab.training import Progress, train_one
from lab.records_factory import make
from lab.smoke import spec

SECONDS = {"load": 1.25, "score": 2.0, "select": 0.5, "train": 30.0}
WEIGHTS = {"big_loss": 0.5, "small_loss": 0.25, "uniform": 0.25}


def report(**changes):
    plain = {"loaded": 12345, "scored": 10000, "trained": 3086, "steps": 48, "seconds": SECONDS, "rate": 0.25}
    return Report(**plain | {"weights": WEIGHTS} | changes)


def console(terminal, width=80):
    return Console(file=io.StringIO(), width=width, force_terminal=terminal, color_system=None, legacy_windows=False)


def drawn(found, width=80):
    screen = console(False, width)
    screen.print(found)
    return screen.file.getvalue()


def done(fresh=True, exclusive=True, **result):
    record = make(value=97.125, environment={"exclusive": exclusive}, result=result)
    return Due(spec(seed=4), record.run_id, replace(record, seconds=replace(record.seconds, total=12.34)), fresh)


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (0.0, "········"),
        (1.0, "████████"),
        (0.5, "████····"),
        (1 / 64, "▏·······"),
        (63 / 64, "███████▉"),
        (2.0, "████████"),
        (-1.0, "········"),
    ],
)
def test_a_bar_shows_its_share_in_eighths(share, text):
    assert bar(share, 8).plain == text


def test_a_run_is_described_by_what_matters_for_it():
    assert describe(spec(rate=0.25, budget=0.5)) == "digits/smoke adaselection rate 0.25 budget 0.5 seed 0"
    assert describe(spec(method="full", budget=0.5, seed=2)) == "digits/smoke full budget 1 seed 2"


def test_the_facts_are_loss_weights_kept_share_and_seconds():
    lines = [line.rstrip() for line in drawn(facts(report(), 0.12345)).splitlines()]
    assert lines == [
        "loss        0.1235",
        f"big_loss    {'█' * 12}{'·' * 12} 0.500",
        f"small_loss  {'█' * 6}{'·' * 18} 0.250",
        f"uniform     {'█' * 6}{'·' * 18} 0.250",
        "kept        25.0% of 12,345 loaded, 10,000 scored",
        "seconds     load 1.2  score 2.0  select 0.5  train 30.0",
    ]


def test_of_recorded_losses_it_shows_what_is_left_out_and_the_gate():
    plain = {"trained": 12345, "steps": 48, "seconds": SECONDS, "rate": 0.25, "steps_per_pass": 5, "steps_per_walk": 20}
    plain |= {"windows": 8, "selected": 6, "shut": 2, "left_out": 0.375, "forced": 0, "effective": 1.0}
    lines = [line.rstrip() for line in drawn(facts(RecordedReport(**plain), 0.5)).splitlines()]
    assert lines[1:3] == ["left out  37.5%, unloaded; 12,345 trained on", "windows   open 6 of 8"]
    first = RecordedReport(**plain | {"windows": 0, "selected": 0, "shut": 0, "left_out": 0.0})
    assert "windows   first walk" in drawn(facts(first, 0.5))


@pytest.mark.parametrize("weights", [{}, {"big_loss": 1.0}])
def test_one_method_has_no_bars_and_nothing_loaded_is_no_error(weights):
    text = drawn(facts(report(weights=weights, loaded=0, scored=0, trained=0), float("inf")))
    assert [line.split()[0] for line in text.splitlines()] == ["loss", "kept", "seconds"]
    assert "0.0% of 0 loaded" in text


def test_elsewhere_than_on_a_terminal_there_is_one_line_a_run_and_nothing_else():
    screen = console(False, 40)
    with RunView(screen, 3) as view:
        for each in (done(), done(fresh=False), done(exclusive=False, value=None)):
            with view.run(each.spec) as step:
                assert step is None
            view.done(each)
    start = "digits/smoke adaselection rate 0.3 budget 1 seed 4: accuracy"
    assert screen.file.getvalue().splitlines() == [
        f"{start} 97.12 %  12.3 s",
        f"{start} 97.12 %  (had its record)",
        f"{start} diverged",
    ]


@pytest.mark.parametrize("width", [80, 120])
def test_a_terminal_shows_the_run_that_is_on_and_how_far_the_grid_is(width):
    screen, run = console(True, width), done()
    with RunView(screen, 2) as view:
        with view.run(run.spec) as step:
            step(Progress(30, 48, 0.5, report()))
            view._live.refresh()
        during = screen.file.getvalue()
        view.done(run)
        view._live.refresh()
    after = screen.file.getvalue()[len(during) :]
    for part in (
        "30/48",
        "0/2",
        "digits/smoke adaselection",
        "loss        0.5000",
        "big_loss    █",
        "kept        25.0%",
    ):
        assert part in during
    assert "seconds     load 1.2  score 2.0  select 0.5  train 30.0" in during
    assert f"{describe(run.spec)}: accuracy 97.12 %  12.3 s" in after
    assert "1/2" in after
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", during + after)
    assert max(map(len, re.split(r"[\r\n]+", plain))) <= width


def test_a_real_run_is_shown_to_its_end():
    screen, asked = console(True), spec(budget=0.5, method="big_loss")
    with RunView(screen, 1) as view:
        with view.run(asked) as step:
            record = train_one(asked, step)
            view._live.refresh()
        view.done(Due(asked, record.run_id, record, True))
    text = screen.file.getvalue()
    assert f"{record.counts.steps}/{record.counts.steps}" in text
    assert f"{describe(asked)}: accuracy {record.result.value:.2f} %" in text


def test_a_view_ends_with_the_run_that_fails():
    screen = console(True)

    def fail():
        with RunView(screen, 1) as view, view.run(spec()) as step:
            step(Progress(1, 48, 0.5, report()))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert "\x1b[?25h" in screen.file.getvalue()  # the cursor is back
