"""The tables: in the terminal, in Markdown, in the README, and how numbers are written."""

import io

import pytest
from rich.console import Console

from adaselection.lab.summary import Study, summarise
from adaselection.lab.tables import markdown_table, readme_block, terminal_table, update_block
from adaselection.lab.verdict import verdict
from adaselection.lab.wording import decimals, number, rate, seconds, share, signed
from lab.records_factory import grid, make
from lab.test_summary import UNIFORM, row, runs, study


def shown(found: Study, width: int) -> str:
    console = Console(width=width, file=io.StringIO(), color_system=None)
    console.print(terminal_table(found, width))
    return console.file.getvalue()


@pytest.mark.parametrize("width", [80, 120])
def test_the_terminal_table_fits_and_cuts_no_number(width):
    found = study(grid(("digits",), budgets=(0.5,), rates=(0.3,), seeds=3))
    text = shown(found, width)
    assert max(map(len, text.splitlines())) <= width
    assert "…" not in text
    ours = row(found, "adaselection")
    (line,) = [line for line in text.splitlines() if line.strip().startswith("adaselection")]
    for part in (number(ours.mean, 2), signed(ours.difference.mean, 2), signed(ours.difference.ci_low, 2), "0.63"):
        assert part in line
    assert ("scored" in text) == (width == 120)


def test_full_training_comes_first_and_budgets_have_headings():
    lines = [line.strip() for line in shown(study(grid(("digits",), rates=(0.3,), seeds=2)), 80).splitlines()]
    heads = [line for line in lines if line.startswith(("full run", "budget"))]
    assert [line.split("  ")[0] for line in heads] == ["full run", "budget 25 %", "budget 50 %", "budget 100 %"]


def test_the_markdown_table_has_one_line_a_row_and_escapes_bars():
    found = study(runs("uniform_budget", UNIFORM), runs("a|b", UNIFORM))
    lines = markdown_table(found).splitlines()
    assert len(lines) == 2 + len(found.rows)
    assert "`a\\|b`" in lines[3]
    assert "92.00 ± 2.00" in lines[2]


def test_the_readme_block_names_hardware_versions_and_seeds():
    text = readme_block(grid(budgets=(0.5,), rates=(0.3,), seeds=2), "bike")
    assert "Example CPU at 2.5 GHz (2 cores, 1 thread)" in text
    assert "torch 2.13.0, adaselection 0.1.0; seeds 0, 1" in text
    assert verdict(summarise(grid(("bike",), budgets=(0.5,), rates=(0.3,), seeds=2))[0]).sentence in text
    assert "digits" not in text
    with pytest.raises(ValueError, match="compare mnist"):
        readme_block([make()], "mnist")


def test_a_block_is_replaced_once_and_for_all(tmp_path):
    path = tmp_path / "README.md"
    path.write_text("a\n<!-- results:x -->\nold\n<!-- /results:x -->\nb\n<!-- results:y -->\n<!-- /results:y -->\n")
    assert update_block(path, "x", "new\n") is True
    assert path.read_text() == (
        "a\n<!-- results:x -->\nnew\n<!-- /results:x -->\nb\n<!-- results:y -->\n<!-- /results:y -->\n"
    )
    assert update_block(path, "x", "new") is False
    for text in ("nothing", "<!-- /results:x --> <!-- results:x -->", "<!-- results:x -->"):
        path.write_text(text)
        with pytest.raises(ValueError, match="once each and in this order"):
            update_block(path, "x", "new")
        assert path.read_text() == text


def test_numbers_read_well():
    assert (number(-1234.5, 1), number(None, 2)) == ("\u22121,234.5", "\u2013")
    assert (signed(0.5, 2), signed(-0.001, 2), signed(0.0, 2)) == ("+0.50", "\u22120.00", "0.00")
    assert (share(0.5), share(0.125), share(0.015)) == ("50 %", "12 %", "1.5 %")
    assert (rate(0.3), rate(None), seconds(0.8294), seconds(1234.5), seconds(None)) == (
        "0.3",
        "\u2013",
        "0.829",
        "1,234",
        "\u2013",
    )
    assert decimals(study(runs("adaselection", UNIFORM))) == 2
    small = [make("bike", seed=s, value=v) for s, v in {0: 0.0612, 1: 0.0624}.items()]
    assert decimals(study(small)) == 5
