"""The command `inspect`: find a run and its instances, load its data, show what there is to see."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

from rich.console import Console, Group
from rich.text import Text
from tyro.conf import Positional

from adaselection.errors import ArgumentError
from adaselection.lab.data import DataError
from adaselection.lab.inspection import Inspection, Rows, inspect_instances
from adaselection.lab.instances import InstanceFileError, Instances, instances_path, read_instances
from adaselection.lab.options import DataDir, Folder, at_least_one, flag
from adaselection.lab.record import Record
from adaselection.lab.store import StoreError, write_atomically
from adaselection.lab.tasks import LoadOptions, get_task

__all__ = ["Inspect", "find_record", "render_inspection", "terminal_tables", "training_rows"]

_LEGEND = (
    "label: trained on; right: the right one, where that is known and another. loss: moving average of the row's own "
    "losses; last: the last of them. visits: how often it was trained on; age: passes since then. suspicion: "
    "probability of the upper of two groups of losses, which wrong labels make; a dash where there are no two."
)


@dataclass(frozen=True, kw_only=True)
class Inspect:
    """List the hardest, never-selected and suspected-mislabelled rows of a run."""

    run: Positional[Annotated[str, flag("RUN", "id of a run, its first characters, or the path of its record")]]
    folder: Folder = Path("runs")
    top: Annotated[int, flag("N", "rows in each list")] = 12
    output: Annotated[Path, flag("FILE", "the page to write", aliases=["-o"])] = Path("inspect.html")
    data_dir: DataDir = None

    def do(self, console: Console) -> None:
        """Print the tables, write the page and print its path."""
        top = at_least_one("top", self.top)
        path, record = find_record(self.run, self.folder)
        instances = read_instances(instances_path(path))
        try:
            rows = training_rows(record, instances, self.data_dir)
        except DataError as error:
            rows = None
            console.print(Text(f"No pictures, as the data are not at hand. {error}", style="dim"), soft_wrap=True)
        inspection = inspect_instances(record, instances, rows, top)
        output = self.output.resolve()
        try:
            output.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(output.parent, error) from error
        write_atomically(output, render_inspection(inspection))
        for part in terminal_tables(inspection):
            console.print(part)
        console.print(Text(str(output)), soft_wrap=True)


def find_record(run: str, folder: Path) -> tuple[Path, Record]:
    """Find the record of a run by its id or path.

    Args:
        run: Run id, its first characters, or the path of a record.
        folder: Where to look for an id, at any depth.

    Returns:
        The path of the record, and the record.

    Raises:
        FileNotFoundError: There is none.
        ArgumentError: The id is that of several.
        DamagedRecordError: The file is no valid record.
    """
    path = Path(run)
    if path.suffix == ".json" or path.is_file():
        if not path.is_file():
            raise FileNotFoundError(f"no record {path}: name a run id of --folder, or the path of a record")
        return path, Record.from_json(path.read_bytes(), path)
    if not folder.is_dir():
        raise FileNotFoundError(f"no results folder {folder}: name the one that holds the record with --folder")
    found = sorted(
        path
        for path in folder.rglob("*.json")
        if path.name.startswith(run) and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    )
    if not found:
        raise FileNotFoundError(f"no record of run {run!r} in {folder}: take the 16 hex digits of a file name")
    if len(found) > 1:
        shown = ", ".join(path.stem for path in found[:5])
        raise ArgumentError(f"{len(found)} runs in {folder} begin with {run!r} ({shown}): give more of the id.")
    return found[0], Record.from_json(found[0].read_bytes(), found[0])


def training_rows(record: Record, instances: Instances, data_dir: Path | None = None) -> Rows:
    """Load the rows that a run trained on, as they were at its end.

    Args:
        record: Of the run.
        instances: Of the same run, to check that the rows are as many.
        data_dir: Where to look for data files first.

    Raises:
        DataError: The data are missing, damaged, or not those of the record.
        InstanceFileError: The file has another number of rows.
    """
    config = record.config
    task = get_task(config.task)
    options = LoadOptions(
        config.seed, config.label_noise, data_dir, hold_out=config.split == "validation", regime=config.regime
    )
    splits = task.load(task.preset(config.preset), options)
    if splits.fingerprint != config.data:
        raise DataError(f"The data here ({splits.fingerprint}) are not those of the record ({config.data}).")
    if len(splits.train) != len(instances):
        raise InstanceFileError(
            f"the one of run {record.run_id}",
            f"it has {len(instances)} rows, and the run trains on {len(splits.train)}",
        )
    splits.train.advance(1.0)
    right = None
    if config.label_noise:
        regime = "plain" if config.regime == "noise_switch" else config.regime
        clean = task.load(task.preset(config.preset), replace(options, label_noise=0.0, regime=regime))
        right = clean.train.targets
    return Rows(splits.train.inputs, splits.train.targets, right, splits.train_noisy)


def terminal_tables(inspection: Inspection) -> Iterator[Group]:
    """The diagnosis and each list: a title, what there is to say about it, and a table; and what the columns are."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    def part(title: str, note: str, rows: Sequence[Sequence[str]], *headers: str) -> Group:
        table = Table(box=SIMPLE_HEAD, pad_edge=False)
        for header in headers:
            table.add_column(header, overflow="fold", justify="right" if len(headers) > 3 else "left")
        for row in rows:
            table.add_row(*map(Text, row))
        return Group(Text(title, style="bold"), Text(note), *([table] if rows else [Text("")]))

    yield part(inspection.title, "\n".join(inspection.lines), inspection.answers, "question", "answer", "rests on")
    for listing in inspection.listings:
        rows = [
            (str(item.row), item.label, item.right or ("wrong" if item.wrong else ""), item.loss, item.last,
             str(item.visits), item.age, item.suspicion)
            for item in listing.items
        ]  # fmt: skip
        yield part(
            listing.title, listing.note, rows, "row", "label", "right", "loss", "last", "visits", "age", "suspicion"
        )
    yield Group(Text(_LEGEND))


def render_inspection(inspection: Inspection) -> str:
    """Return the page as HTML; it needs nothing else. The same inspection gives the same text."""
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("adaselection.lab"), autoescape=True, undefined=jinja2.StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    return environment.get_template("inspect.html.j2").render(page=inspection, answers=inspection.answers)
