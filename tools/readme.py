"""Write the results in README.md, its picture and two pages of docs/results from the committed records.

Run ``python tools/readme.py`` after records under ``results/`` have changed. A test holds that it would change nothing.
"""

import argparse
from pathlib import Path

from adaselection.lab.figures import figures
from adaselection.lab.judging import at_a_glance, short
from adaselection.lab.record import Record
from adaselection.lab.store import Damage, RecordStore, write_atomically
from adaselection.lab.summary import summarise
from adaselection.lab.tables import readme_block, update_block

ROOT = Path(__file__).resolve().parent.parent
TASKS = ("digits", "bike", "cifar10")
RATE, BUDGET = 0.3, 0.5
PICTURE = "digits"
RECORDED, SCORING = "recorded", "scoring"
PICTURED = (
    "full",
    "uniform_budget",
    "uniform_rate",
    "adaselection",
    "big_loss",
)  # the collapsed arms would set the scale


def shown(record: Record) -> bool:
    """Say whether a run belongs into the README: one rate, one budget, and full training. The report has all."""
    config = record.config
    return config.rate in (None, RATE) and config.budget in (1.0, BUDGET) and config.split == "test"


def read(results: Path) -> tuple[list[Record], list[Record], list[Damage]]:
    """Read the records of the fresh plane, those of the recorded plane, and what is damaged."""
    fresh, damages = RecordStore(results, writable=False).read_all()
    recorded, wrong = RecordStore(results / RECORDED, writable=False).read_all()
    return fresh, recorded, damages + wrong


def update(
    readme: Path, pages: Path, images: Path, records: list[Record], recorded: list[Record] | None = None
) -> list[Path]:
    """Write all blocks and the picture; returns the files that changed."""
    changed, page, gains = [], pages / "scoring.md", pages / "gains.md"
    if recorded and update_block(readme, RECORDED, at_a_glance(recorded)):
        changed.append(readme)
    if recorded and update_block(gains, RECORDED, short(recorded)):
        changed.append(gains)
    sentences = []
    for task in TASKS:
        chosen = [record for record in records if record.config.task == task and shown(record)]
        if not chosen:
            continue
        text = readme_block(chosen, task)
        sentences.append(f"- {text.splitlines()[0]}")
        if update_block(page, task, text):
            changed.append(page)
    if sentences and update_block(readme, SCORING, "\n".join(sentences)):
        changed.append(readme)
    for study in summarise(r for r in records if r.config.task == PICTURE and r.config.arm in PICTURED):
        picture = figures(study)[0]
        path = images / f"{PICTURE}.svg"
        if not path.exists() or path.read_text(encoding="utf-8") != picture.svg:
            images.mkdir(parents=True, exist_ok=True)
            write_atomically(path, picture.svg)
            changed.append(path)
    return changed


def main() -> None:
    """Update the two files and docs/images, and print what changed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--results", type=Path, default=ROOT / "results")
    parser.add_argument("--readme", type=Path, default=ROOT / "README.md")
    parser.add_argument("--pages", type=Path, default=ROOT / "docs" / "results")
    parser.add_argument("--images", type=Path, default=ROOT / "docs" / "images")
    arguments = parser.parse_args()
    records, recorded, damages = read(arguments.results)
    changed = update(arguments.readme, arguments.pages, arguments.images, records, recorded)
    for path in dict.fromkeys(changed):
        print(f"updated {path}")
    for damage in damages:
        print(f"skipped {damage.path}: {damage.reason}")


if __name__ == "__main__":
    main()
