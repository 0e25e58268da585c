"""The report on the paper: its tables, figures and words, as HTML and as Markdown, and the tool that writes them."""

import html
import importlib.util
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from adaselection.lab.paper import drawing, page, per_task, pictures, plan, reporting, tabulating
from adaselection.lab.paper.assumptions import ASSUMPTIONS
from adaselection.lab.paper.document import document
from adaselection.lab.paper.published import PUBLISHED
from adaselection.lab.paper.results import read
from adaselection.lab.record import run_id
from adaselection.lab.store import Damage, RecordStore
from lab.paper_records import paper_grid, run
from lab.records_factory import _weights

TASKS = ("svhn", "bike")


def collapses(task, row, rate, seed):
    """AdaSelection's second configuration is best on both tasks."""
    best = row == "mix_big_small"
    if task == "svhn":
        return 95.0 + seed if best else 90.0 - 5 * (rate or 0) + seed
    return 0.5 + seed / 100 if best else 1.0 + seed / 100


@pytest.fixture(scope="module")
def records():
    made = paper_grid(TASKS, seeds=2, metric=collapses)
    crowd = [run("bike", "uniform", 0.1, 2, 1.0, environment={"exclusive": False})]
    flagged = [run("svhn", "big_loss", 0.1, 2, 11.0, collapsed=True), run("svhn", "big_loss", 0.2, 2, None)]
    weights = [run("svhn", plan.EVOLUTION, plan.SINGLE_RATE, 2, 90.0, weights=_weights(0))]
    return [*made, *crowd, *flagged, *weights]


@pytest.fixture(scope="module")
def results(records):
    return read(records)


@pytest.fixture(scope="module")
def text(records):
    return page.render_page(records, [Damage(Path("svhn/x.json"), "half a file")])


@pytest.fixture(scope="module")
def written(records):
    return document(records)


def entry(table, row, column):
    (line,) = [line for line in table.lines if line.row == row]
    return line.entries[column]


def test_table_3_has_published_ranks_beside_ours(results):
    table = tabulating.table_3(results)
    assert table.headers[2] == "SVHN (MNIST stands in)"
    first = entry(table, "mix_big_small", 2)
    assert (first.text, first.published, first.n) == ("1.00 ± 0.00", "", 2)
    printed = entry(table, "", 4)
    assert (printed.text, printed.published) == ("1.00 ± 0.00", "3.80")
    ties = entry(table, "uniform", 4)
    assert (ties.text, ties.published) == ("8.00 ± 0.00", "4.00")
    assert ties.interval == "8.00 to 8.00"
    assert entry(table, "grad_norm", 5) == tabulating.Entry("missing", "\u2013")


def test_table_4_averages_the_rates_and_counts_diverged_runs(results):
    table = tabulating.table_4(results)
    assert entry(table, "uniform", 2).text == "89.00 ± 0.71"
    assert entry(table, "uniform", 2).published == "93.32"
    assert entry(table, "", 2).text == "95.50 ± 0.71"
    assert entry(table, "", 2).published == f"{PUBLISHED['svhn'].values['adaselection']:.2f}"
    assert entry(table, "big_loss", 2).flag == "1 of 12 collapsed"
    assert entry(table, "uniform", 0).text == "missing"
    some = tabulating.table_4(read(paper_grid(["bike"], ("uniform",), 1)[:2]))
    assert entry(some, "uniform", 4).text == "missing: runs at 2 of 5 rates"


def test_each_rate_has_its_own_numbers_and_flags(results):
    table = per_task.by_rate(results["svhn"])
    assert entry(table, "uniform", 0).text == "90.00 ± 0.71"
    assert entry(table, "uniform", 4).text == "88.00 ± 0.71"
    assert (entry(table, "big_loss", 0).flag, entry(table, "big_loss", 0).n) == ("1 of 3 collapsed", 3)
    assert entry(table, "big_loss", 1).text == "1 of 3 diverged"
    assert [line.row for line in table.lines][-3:] == ["same_cost", "recorded", "fresh_default"]


def test_cost_has_counted_work_always_and_seconds_of_runs_that_were_alone(results):
    table = per_task.cost(results["bike"])
    assert re.fullmatch(r"10 % / \d+ %", entry(table, "uniform", 0).text)
    assert re.fullmatch(r"20 % / \d+ %", entry(table, "uniform", 1).text)
    assert entry(table, "big_loss", 4).text.startswith("83 % / ")
    assert entry(per_task.cost(results["cifar10"]), "uniform", 0).text == "missing"


def test_differences_from_uniform_at_the_same_rate_and_cost(results):
    table = per_task.against_uniform(results["bike"])
    best = entry(table, "mix_big_small", 0)
    assert best.text.startswith("+0.50")
    assert best.n == 2
    assert entry(table, "recorded", 2).text.startswith("0.0")


def test_every_figure_has_axes_units_and_a_caption(results):
    drawn = [*pictures.of_results(results), *pictures.of_equations()]
    names = [picture.name for picture in drawn]
    assert names == [
        "svhn_columns", "svhn_configurations", "bike_columns", "bike_configurations", "fig_7_beta",
        "fig_8_weights_svhn", "eq_3_weights", "eq_3_sums", "eq_4_reward",
    ]  # fmt: skip
    for picture in drawn:
        labels = re.findall(r"<text[^>]*>([^<]+)</text>", picture.figure.svg)
        assert len(picture.figure.caption) > 40
        assert sum(not re.fullmatch(r"[\d.,\u2212-]+", html.unescape(label)) for label in labels) >= 3, picture.name
    assert "MNIST stands in" in drawn[0].figure.title
    assert "accuracy (%)" in drawn[0].figure.svg


def test_the_time_figure_is_drawn_from_work_and_says_when_seconds_are_missing():
    crowd = read(paper_grid(["cifar10"], ("full", "uniform", "big_loss"), 1, environment={"exclusive": False}))
    alone = read(paper_grid(["cifar10"], ("full", "uniform", "big_loss"), 1))
    (without,) = [p for p in pictures.of_results(crowd) if p.name == "fig_3_time"]
    (timed,) = [p for p in pictures.of_results(alone) if p.name == "fig_3_time"]
    assert "Seconds are not drawn" in without.figure.caption
    assert "seconds (% of full)" not in without.figure.svg
    assert "seconds (% of full)" in timed.figure.svg


def test_lines_of_one_figure_differ_without_their_colours():
    looks = drawing._LOOKS
    rows = {row.name for row in plan.ROWS.values() if row.part == "paper"} & set(looks)
    mixes = {row for row in rows if row.startswith("mix")}
    figures = [
        (rows - mixes) | {"best"},
        mixes | {"uniform", "same_cost", "recorded", "fresh_default"},
        set(plan.TASKS),
    ]
    for names in figures:
        shapes = [(looks[name]["marker"], looks[name]["linestyle"]) for name in names]
        assert len(set(shapes)) == len(shapes)
        assert len({looks[name]["color"] for name in names}) >= 5


def test_the_page_has_everything_and_is_the_same_again(text, records):
    plain = html.unescape(text)
    for statement in ("T1.", "T9.", "Does not hold", "Cannot be judged yet"):
        assert statement in plain
    assert all(entry.item in plain and entry.why.rstrip(".") in plain.replace("\u00a0", " ") for entry in ASSUMPTIONS)
    assert pictures.UNKNOWN_FIGURES in plain
    assert "half a file" in plain
    assert "1 of 3 collapsed" in plain
    assert ">nan<" not in text
    assert "None" not in re.sub(r"<svg.*?</svg>", "", text, flags=re.S)
    assert text == page.render_page(list(reversed(records)), [Damage(Path("svhn/x.json"), "half a file")])


def test_ids_are_unique_and_nothing_comes_from_elsewhere(text):
    ids = re.findall(r'\sid="([^"]+)"', text)
    assert len(set(ids)) == len(ids)
    used = set(re.findall(r'(?:xlink:href="#|url\(#)([^")]+)', text))
    assert used <= set(ids)
    assert not re.findall(r'(?:src|href)="(?!#|data:)[^"]+"', text)


def test_every_cell_with_runs_has_its_command(text, results):
    shown = html.unescape(text)
    for task in results.values():
        for cell in task.runs:
            assert task.at(cell.row, cell.rate)[0].command in shown
    assert "adaselection paper --tasks cifar10" in shown


def test_the_best_row_is_labelled_as_picked_on_the_test_set(text):
    assert html.escape(tabulating.BEST) in text
    assert "picked on the test set" in tabulating.BEST


def test_a_second_grid_appears_with_runs_of_its_own(records):
    assert reporting.grids(records) == ["cpu"]
    large = run("cifar10", "full", None, 0, 92.0)
    config = replace(large.config, preset="paper")
    both = [*records, replace(large, config=config, run_id=run_id(config))]
    assert reporting.grids(both) == ["cpu", "paper"]
    assert len(reporting.content(both, "paper").records) > 1


def test_write_page_reads_a_store(tmp_path):
    store = RecordStore(tmp_path / "runs")
    for record in paper_grid(["bike"], ("full", "uniform"), 1):
        store.write(record)
    (store.folder / "bike" / "x.json").write_text("{", encoding="utf-8")
    path = page.write_page(store, tmp_path / "new" / "page.html")
    assert path == tmp_path / "new" / "page.html"
    found = path.read_text(encoding="utf-8")
    assert "6 runs." in found
    assert "bike/x.json" in found
    assert str(tmp_path) not in found


def test_the_document_has_whole_tables_and_all_its_pictures(written):
    words, images = written
    for table in re.findall(r"(?:^\|.*\n)+", words, re.MULTILINE):
        assert len({re.sub(r"\\\|", "", line).count("|") for line in table.splitlines()}) == 1
    assert set(re.findall(r"\]\(images/reproduction/([^)]+)\)", words)) == set(images)
    assert "SVHN (MNIST stands in)" in words
    assert "None" not in words
    assert re.search(r"### T2\..*\n\nVerdict: \*\*does not hold\*\*, bootstrap probability", words)
    assert "| CIFAR10" not in words.partition("Tables 3 and 4")[0]
    assert words.count("missing") > 100


def test_without_records_the_document_claims_nothing():
    words, images = document([])
    assert words.count("Verdict: **cannot be judged yet**. There are no runs.") == 9
    assert sorted(images) == ["eq_3_sums.svg", "eq_3_weights.svg", "eq_4_reward.svg"]


@pytest.fixture(scope="module")
def tool(root):
    found = importlib.util.spec_from_file_location("reproduction_tool", root / "tools" / "reproduction.py")
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


def test_the_committed_page_says_what_the_committed_records_say(root):
    """In a process of its own: without the checks of shapes and types it takes a fraction of the time."""
    command = [sys.executable, str(root / "tools" / "reproduction.py"), "--check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr


def test_the_tool_writes_once_and_its_check_fails_on_edits_and_strays(tool, tmp_path, capsys):
    store, docs = RecordStore(tmp_path / "runs"), tmp_path / "docs"
    store.write(run("bike", "full", None, 0, 1.0))
    where = ["--results", str(store.folder), "--docs", str(docs)]
    assert tool.main([*where, "--check"]) == 1
    assert not docs.exists()
    assert tool.main(where) == 0
    assert "updated" in capsys.readouterr().out
    (docs / "reproduction.md").write_text("It all holds.\n", encoding="utf-8")
    (docs / "images" / "reproduction" / "old.svg").write_text("", encoding="utf-8")
    assert tool.main([*where, "--check"]) == 1
    assert capsys.readouterr().err.count("run python tools/reproduction.py") == 2
    assert tool.main(where) == 0
    assert capsys.readouterr().out.count("updated") == 2
    assert not (docs / "images" / "reproduction" / "old.svg").exists()
    assert tool.main([*where, "--check"]) == 0
