"""Write the table of docs/cost.md about a GPU from the record of ``benchmarks/device_cost.py``.

Run ``python tools/device.py`` after that record has changed. A test holds that it would change nothing.
"""

import json
from pathlib import Path
from typing import Any

from adaselection.lab.tables import update_block

ROOT = Path(__file__).resolve().parent.parent
RECORD = ROOT / "benchmarks" / "records" / "device_cost.json"
PAGE = ROOT / "docs" / "cost.md"
HEAD = "| precision | loader | seconds of a pass | steps | of the plain pass | a step, of a plain one | host |"


def spread(row: dict[str, float]) -> str:
    """Median and quartiles."""
    return f"{row['median']:.2f} [{row['q1']:.2f}, {row['q3']:.2f}]"


def block(record: dict[str, Any]) -> str:
    """The table, and what it was measured with."""
    results, where, settings = record["results"], record["environment"], record["settings"]
    lines = [HEAD, "|---|---|---:|---:|---:|---:|---:|"]
    for precision, loaders in results["passes"].items():
        for name, row in loaders.items():
            numbers = spread(row["share_of_plain_pass"]), spread(row["step_over_plain_step"])
            cells = (f"{row['seconds']['median']:.3f}", str(row["steps"]), *numbers, f"{row['host']['median']:.2f}")
            lines.append(f"| {precision} | {name} | {' | '.join(cells)} |")
    verdict = "met" if results["met"] else "not met"
    return "\n".join(
        (
            *lines,
            "",
            f"Medians and quartiles of {settings['repeats']} turns; {results['device']}, {where['cores']} cores, one "
            f"thread, torch {where['torch']}, {record['started'][:10]}; {settings['rows']:,} random pictures, rate "
            f"{settings['rate']:g}. "
            f"The bar, a recorded step within {results['bar']:.0%} of a plain one, is {verdict}.",
        )
    )


def main() -> None:
    """Update docs/cost.md."""
    record = json.loads(RECORD.read_text(encoding="utf-8"))
    if update_block(PAGE, "device", block(record)):
        print(f"updated {PAGE}")


if __name__ == "__main__":
    main()
