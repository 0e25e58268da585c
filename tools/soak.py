"""Run the long suites in full, and write down what they did.

``make soak`` runs this. Each suite is one run of pytest with ``ADASELECTION_SOAK=1``; what its tests counted goes into
``benchmarks/records/soak.json``, suite by suite, and from there into ``docs/reliability.md``. A suite whose entry is
there, made from the same sources, is not run again, so that a soak that was stopped goes on. ``--page`` writes the page
alone; a test holds that it would change nothing.
"""

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ET
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from adaselection.lab.machine import Watch, environment
from adaselection.lab.store import write_atomically
from adaselection.lab.tables import update_block

ROOT = Path(__file__).resolve().parent.parent
RECORD = ROOT / "benchmarks" / "records" / "soak.json"
PAGE = ROOT / "docs" / "reliability.md"
SUITES = {
    "kills": ["tests/soak/test_kills.py"],
    "bad_inputs": ["tests/soak/test_bad_inputs.py", "tests/soak/test_bad_words.py"],
    "memory": ["tests/soak/test_memory.py"],
    "grid_kills": ["tests/lab/test_grid_kills.py"],
}
PLAIN = "addopts=--import-mode=importlib"  # without shape checks, as at users'
ADDED = ("kills", "trainings", "refused", "batches", "moments", "grown_bytes")  # what tests count


def sources() -> str:
    """A number for the library and for the suites."""
    digest = hashlib.sha256()
    for path in sorted([*ROOT.glob("src/**/*.py"), *ROOT.glob("tests/soak/*.py"), ROOT / SUITES["grid_kills"][0]]):
        digest.update(path.relative_to(ROOT).as_posix().encode() + path.read_bytes())
    return digest.hexdigest()[:16]


def counted(report: Path) -> dict[str, Any]:
    """What a report of pytest says: tests, failures, seconds, and what each test counted."""
    suite = ET.parse(report).getroot().find("testsuite")
    if suite is None:
        raise ValueError(f"{report} is no report of pytest")
    tests = {}
    for case in suite.iter("testcase"):
        found = {str(entry.get("name")): str(entry.get("value")) for entry in case.iter("property")}
        tests[str(case.get("name"))] = {name: json.loads(found[name]) for name in ADDED if name in found}
    return {
        "tests": int(suite.get("tests", 0)),
        "failures": int(suite.get("failures", 0)) + int(suite.get("errors", 0)),
        "seconds": round(float(suite.get("time", 0)), 1),
        "counted": {name: values for name, values in tests.items() if values},
    }


def run(name: str) -> dict[str, Any]:
    """Run a suite; its entry in the record."""
    started, watch = datetime.now(UTC), Watch()
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        words = [
            "-q",
            "-p",
            "no:cacheprovider",
            "-o",
            PLAIN,
            "-o",
            "junit_family=xunit1",
            f"--junitxml={report}",
            *SUITES[name],
        ]
        environ = os.environ | {"ADASELECTION_SOAK": "1"}
        subprocess.run([sys.executable, "-m", "pytest", *words], cwd=ROOT, env=environ, check=False)
        found = counted(report)
    return {
        **found,
        "sources": sources(),
        "environment": asdict(environment(watch.others_busy(), alone=True)),
        "started": started.isoformat(timespec="seconds"),
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def total(entry: dict[str, Any], what: str) -> int:
    """The sum of one count over the tests of a suite."""
    return sum(int(values.get(what, 0)) for values in entry["counted"].values())


def table(record: dict[str, Any]) -> str:
    """What the suites did, as lines of Markdown."""
    lines = ["| what | how often | failures | seconds |", "|---|---:|---:|---:|"]
    for name, entry in record["suites"].items():
        for place, (what, often) in enumerate(said(name, entry)):
            seconds = "with the line above" if place else f"{entry['seconds']:,.0f}"  # of the suite, which has both
            lines.append(f"| {what} | {often:,} | {entry['failures']} | {seconds} |")
    where = next(iter(record["suites"].values()))["environment"]
    machine = f"{where['cpu']} ({where['cores']} cores, 1 thread), Python {where['python']}, torch {where['torch']}"
    return "\n".join([*lines, "", f"Measured with {machine}; others used the machine too."])


def said(name: str, entry: dict[str, Any]) -> list[tuple[str, int]]:
    """The counts of a suite, in words."""
    if name == "kills":
        tests = {test.partition("[")[2].rstrip("]"): values for test, values in entry["counted"].items()}
        return [(f"kills of a training under `{loader}`", int(values["kills"])) for loader, values in tests.items()]
    if name == "memory":
        tests = {test.partition("[")[2].rstrip("]"): values for test, values in entry["counted"].items()}
        return [(f"batches of one training by `{loader}`", int(values["batches"])) for loader, values in tests.items()]
    if name == "bad_inputs":
        return [("generated bad inputs", total(entry, "refused"))]
    return [("kills of a grid of runs", total(entry, "kills"))]


def write_page(record: dict[str, Any], page: Path = PAGE) -> bool:
    """Bring the table of the page up to date; says whether it changed."""
    return update_block(page, "soak", table(record))


def main(arguments: list[str] | None = None) -> int:
    """Run the suites that are due; 1 if one failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="+", choices=list(SUITES), default=list(SUITES), help="suites (default: all)")
    parser.add_argument("--page", action="store_true", help="write the page from the record, and run nothing")
    options = parser.parse_args(arguments)
    record: dict[str, Any] = json.loads(RECORD.read_text(encoding="utf-8")) if RECORD.exists() else {"suites": {}}
    for name in [] if options.page else options.only:
        known = record["suites"].get(name, {})
        if known.get("sources") == sources() and not known["failures"]:
            print(f"{name}: done before, from the same sources")
            continue
        suites = record["suites"] | {name: run(name)}
        record = {"schema": 1, "benchmark": "soak", "suites": {key: suites[key] for key in SUITES if key in suites}}
        write_atomically(RECORD, json.dumps(record, indent=1, allow_nan=False) + "\n")
    write_page(record)
    return 1 if any(entry["failures"] for entry in record["suites"].values()) else 0


if __name__ == "__main__":
    sys.exit(main())
