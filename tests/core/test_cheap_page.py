"""The table of docs/cheap_scores.md is that of its record."""

import json
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_the_page_shows_the_record() -> None:
    record = json.loads((ROOT / "benchmarks" / "records" / "cheap_scores.json").read_text(encoding="utf-8"))
    page = (ROOT / "docs" / "cheap_scores.md").read_text(encoding="utf-8")
    shown = page.split("<!-- the table of benchmarks/records/cheap_scores.json -->")[1].split("<!-- end")[0]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in shown.strip().splitlines()[2:]]
    rows = record["results"]["rows"]
    assert [row[0] for row in cells] == [row["way"] for row in rows]
    for shown_row, row in zip(cells, rows, strict=True):
        medians = [row[key]["median"] for key in ("cost", "all", "kept", "overlap")]
        assert [float(shown_row[place]) for place in (1, 3, 4, 5)] == [float(f"{value:.2f}") for value in medians]
