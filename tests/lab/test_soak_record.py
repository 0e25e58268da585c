"""The record of the long suites: they were run in full, nothing failed, and the page says what the record says."""

import json
import runpy
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = runpy.run_path(str(ROOT / "tools" / "soak.py"))
REPORT = """<?xml version="1.0"?><testsuites><testsuite name="pytest" errors="1" failures="2" tests="3" time="4.56">
<testcase name="test_a[One]"><properties><property name="kills" value="7"/><property name="moments" value='{"x": 7}'/>
</properties></testcase><testcase name="test_b"/></testsuite></testsuites>"""


@pytest.fixture(scope="module")
def record() -> dict[str, Any]:
    return json.loads(SCRIPT["RECORD"].read_text(encoding="utf-8"))


def test_the_long_suites_ran_in_full_and_nothing_failed(record: dict[str, Any]) -> None:
    suites = record["suites"]
    assert list(suites) == list(SCRIPT["SUITES"])
    assert [entry["failures"] for entry in suites.values()] == [0] * len(suites)
    assert [values["kills"] for values in suites["kills"]["counted"].values()] == [200, 200]
    assert SCRIPT["total"](suites["bad_inputs"], "refused") >= 10_000
    assert all(values["batches"] >= 10**5 for values in suites["memory"]["counted"].values())
    assert SCRIPT["total"](suites["grid_kills"], "kills") == 20


def test_the_page_is_what_the_record_gives(record: dict[str, Any], tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(SCRIPT["PAGE"].read_text(encoding="utf-8"), encoding="utf-8")
    assert not SCRIPT["write_page"](record, page), "run python tools/soak.py --page"
    assert SCRIPT["write_page"]({"suites": {"kills": record["suites"]["kills"]}}, page)


def test_what_tests_counted_is_read_from_their_report(tmp_path: Path) -> None:
    path = tmp_path / "report.xml"
    path.write_text(REPORT, encoding="utf-8")
    found = SCRIPT["counted"](path)
    counted = {"test_a[One]": {"kills": 7, "moments": {"x": 7}}}
    assert found == {"tests": 3, "failures": 3, "seconds": 4.6, "counted": counted}
