"""The report and its figures: self-contained, escaped, repeatable, right for any number of records."""

import html
import re
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pytest

from adaselection.lab import plots
from adaselection.lab.figures import figures
from adaselection.lab.report import render_report, write_report
from adaselection.lab.store import RecordStore, StoreError
from adaselection.lab.summary import summarise
from adaselection.lab.verdict import verdict
from lab.records_factory import grid, make

VOID = {"meta", "link", "br", "line", "circle", "img"}


class Page(HTMLParser):
    """Collects what a test asks for and checks that tags nest."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        if not {"style", "script"} & set(self.open):
            self.text.append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]

    @property
    def words(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.text))


@pytest.fixture(scope="module")
def whole() -> tuple[str, Page]:
    text = render_report(grid(seeds=3))
    return text, Page(text)


def test_the_verdict_of_each_task_comes_first(whole):
    _, page = whole
    places = []
    for study in summarise(grid(seeds=3)):
        sentence = verdict(study).sentence.replace("\u00a0", " ")
        assert sentence in page.words.replace("\u00a0", " ")
        places.append(page.words.replace("\u00a0", " ").index(sentence))
    assert max(places) < page.words.index("Preset cpu")


def test_nothing_outside_the_file_is_asked_for(whole):
    text, page = whole
    assert not page.all("script")
    assert not page.all("img")
    assert [link["href"] for link in page.all("link")] == ["data:,"]
    targets = [a[key] for _, a in page.tags for key in ("href", "src", "xlink:href") if a.get(key)]
    assert all(target.startswith(("#", "data:")) for target in targets)
    assert "url(http" not in text
    assert "@import" not in text
    assert not re.search(r'(?<!xmlns=")(?<!xmlns:xlink=")https?://', text)


def test_ids_are_unique_and_links_lead_somewhere(whole):
    _, page = whole
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    used = {a["href"][1:] for a in page.all("a") if a["href"].startswith("#")}
    used |= {a["xlink:href"][1:] for a in page.all("use")}
    assert used <= set(ids)


def test_it_can_be_read_by_all(whole):
    _, page = whole
    assert page.all("html") == [{"lang": "en"}]
    assert len(page.all("h1")) == 1
    assert any(m.get("name") == "viewport" for m in page.all("meta"))
    assert all(svg.get("role") == "img" and svg.get("aria-label") for svg in page.all("svg"))
    assert len(page.all("figcaption")) == len(page.all("figure")) == 8
    assert all("data-label" in cell or "empty" in cell.get("class", "") for cell in page.all("td"))
    assert all(box.get("aria-label") for name, box in page.tags if name == "div" and box.get("class") == "box")


def test_every_run_can_be_repeated(whole):
    text, _ = whole
    page = html.unescape(text)
    assert all(record.command in page for record in grid(seeds=3))


def test_the_same_records_give_the_same_bytes():
    records = grid(("digits",), rates=(0.3,), seeds=2)
    assert render_report(records) == render_report(list(reversed(records)))


def test_counts_costs_and_environment_are_there(whole):
    _, page = whole
    record = make(budget=0.5)
    for part in (
        f"{record.counts.scored:,}",
        f"{record.counts.trained:,}",
        "Example CPU at 2.5 GHz",
        "2.13.0",
        "1.5\u00d7",
    ):
        assert part in page.words
    for part in ("Break-even at a rate of 2/3", "Why scoring is charged", "A dash for seconds"):
        assert part in page.words


@pytest.mark.parametrize(
    ("records", "text"),
    [
        ([], "There is no finished run here. Make some"),
        ([make(config={"split": "validation"})], "There is no finished run here, only tuning runs"),
        ([make()], "uniform at the same budget, the arm uniform_budget, was not run"),
        ([make(arm="full", seed=seed) for seed in range(3)], "it has no runs here"),
        ([make(arm="uniform_budget")], "1 run of 1 task"),
        ([make(value=float("nan"))], "1 of its 1 runs diverged"),
    ],
)
def test_few_records_are_enough(records, text):
    assert text in Page(render_report(records)).words


def test_hostile_text_stays_text(tmp_path):
    evil = "</pre><script>alert(1)</script><img src=x onerror=alert(1)>"
    records = [
        make(arm=arm, seed=seed, command=evil, environment={"cpu": evil, "exclusive": False},
             config={"task": "<b>task", "preset": '"x"'}, result={"metric": "<i>$\\frac{", "unit": "<u>"})
        for arm in ("uniform_budget", "<svg onload=x>$_{", "adaselection")
        for seed in range(2)
    ]  # fmt: skip
    page = Page(render_report(records))
    assert {"script", "img", "b", "i", "u"} & {tag for tag, _ in page.tags} == set()
    assert not any(name.startswith("on") for _, attributes in page.tags for name in attributes)
    assert evil in "".join(page.text)


def test_damaged_records_are_named_by_their_place_in_the_folder(tmp_path):
    results = tmp_path / "results"
    for record in grid(("digits",), rates=(0.3,), seeds=2):
        RecordStore(results).write(record)
    (results / "digits" / "torn.json").write_text("{")
    path = write_report(results, tmp_path / "new" / "report.html")
    page = Page(path.read_text(encoding="utf-8"))
    assert "Records that could not be read" in page.words
    assert "digits/torn.json" in page.words
    assert str(tmp_path) not in path.read_text(encoding="utf-8")
    assert (results / "digits" / "torn.json").read_text() == "{"


def test_a_folder_without_records_or_without_place_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="no results folder"):
        write_report(tmp_path / "missing", tmp_path / "report.html")
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="Fix: a file stands where a folder must be"):
        write_report(tmp_path, tmp_path / "file" / "report.html")
    assert "No results yet" in write_report(tmp_path, tmp_path / "report.html").read_text()


def test_tuning_has_a_table_of_its_own():
    tuned = [make(value=80.0 + rate, config={"split": "validation", "learning_rate": rate}) for rate in (0.1, 0.3)]
    page = Page(render_report([*grid(("digits",), rates=(0.3,), seeds=2), *tuned]))
    assert "How learning rates were tuned" in page.words
    assert "0.1: 80.1 %" in page.words.replace("\u00a0", " ")


def test_crowded_runs_show_a_dash_for_seconds():
    seconds = re.compile(r'data-label="Seconds"[^>]*>([^<]*)<')
    crowded = grid(("digits",), budgets=(0.5,), rates=(0.3,), seeds=2, environment={"exclusive": False})
    rows = len(summarise(crowded)[0].rows)
    assert not seconds.findall(render_report(crowded))  # a column of dashes says nothing
    alone = grid(("digits",), budgets=(0.25,), rates=(0.3,), seeds=2)
    cells = seconds.findall(render_report([*crowded, *alone]))
    assert cells.count("\u2013") == rows
    assert len(cells) == len(summarise([*crowded, *alone])[0].rows)


def test_an_interval_far_beyond_the_others_has_an_arrow():
    records = [make(arm="uniform_budget", seed=s, value=90.0 + s) for s in range(3)]
    for place, shift in enumerate((0.5, 0.4, -0.3, -40.0)):
        records += [make("digits", f"arm_{place}", s, value=90.0 + s + shift + s / 50) for s in range(3)]
    text = render_report(records)
    assert text.count('class="beyond" d="M8 4') == 1
    assert text.count('class="beyond"') == 1


def test_figures_are_small_sound_svg_that_follows_the_page():
    found = figures(summarise(grid(("digits",), seeds=3))[0])
    assert [f.title for f in found] == [
        "Accuracy against cost", "Accuracy and cost against rate", "Weights of the methods", "Losses seen and kept",
    ]  # fmt: skip
    for figure in found:
        root = ElementTree.fromstring(figure.svg)
        texts = {element.text for element in root.iter("{http://www.w3.org/2000/svg}text")}
        assert len(figure.svg) < 40_000
        assert "currentColor" in figure.svg
        assert "#0a0b0c" not in figure.svg
        assert "width" not in root.attrib
        assert figure.caption
        assert texts
    by_budget = ElementTree.fromstring(found[0].svg)
    words = {element.text for element in by_budget.iter("{http://www.w3.org/2000/svg}text")}
    assert {"adaselection", "uniform_budget", "full training", "accuracy (%)"} <= words


def test_axis_numbers_are_not_cut():
    svg = plots.loss_distribution([make().losses])
    assert ">0.001<" in svg
    assert ">0.01<" in svg


def test_one_budget_lists_the_arms():
    study = summarise(grid(("digits",), budgets=(0.5,), rates=(0.3,), seeds=3))[0]
    found = figures(study)
    assert [f.title for f in found] == ["Accuracy", "Weights of the methods", "Losses seen and kept"]
    assert found[0].svg.index(">full<") < found[0].svg.index(">uniform_budget<") < found[0].svg.index(">adaselection<")


def test_seconds_are_drawn_only_where_all_rows_have_them():
    def svg(**environment: object) -> str | None:
        study = summarise(grid(("digits",), budgets=(0.5,), seeds=2, environment=environment))[0]
        return plots.metric_and_cost_against_rate(study.rows, study)

    assert ">seconds<" in svg()
    assert ">cost (% of full)<" in svg(exclusive=False)


def test_nothing_to_draw_is_none():
    study = summarise([make(arm="full")])[0]
    assert plots.metric_against_budget(study.rows, study) is None
    assert plots.metric_and_cost_against_rate(study.rows, study) is None
    assert plots.weights_over_steps([]) is None
    assert plots.loss_distribution([]) is None


def test_the_templates_lie_in_the_package():
    folder = Path(plots.__file__).parent / "templates"
    assert {path.name for path in folder.iterdir()} == {
        "report.html.j2",
        "report.css",
        "inspect.html.j2",
        "paper.html.j2",
    }
