"""Instance files and the command `inspect`: what they keep, what they list, and what they say when they cannot."""

import base64
import io
import struct
import zlib
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
import torch
from rich.console import Console

from adaselection import Signals
from adaselection.errors import ArgumentError
from adaselection.lab.inspecting import Inspect, find_record, render_inspection, terminal_tables
from adaselection.lab.inspection import Rows, inspect_instances
from adaselection.lab.instances import InstanceFileError, Instances, instances_path, read_instances, write_instances
from adaselection.lab.pictures import picture_of, png
from adaselection.lab.record import DamagedRecordError
from adaselection.lab.store import RecordStore, StoreError
from adaselection.lab.tasks import LoadOptions, get_task
from lab.records_factory import make


def made_up(n=1000, share=0.2, seed=0, wrong=None, kind="cross_entropy"):
    """Signals in which wrong labels stand apart, row 0 was never seen and row 1 waits longest."""
    draw = torch.Generator().manual_seed(seed)
    if wrong is None:
        wrong = torch.zeros(n, dtype=torch.bool)
        wrong[torch.randperm(n, generator=draw)[: round(share * n)]] = True
    spread = torch.randn(len(wrong), generator=draw)
    losses = torch.where(wrong, 3.5 * (0.2 * spread).exp(), 0.3 * (0.6 * spread).exp())
    visits = torch.randint(3, 9, (len(wrong),), generator=draw)
    ages = torch.randint(0, 3, (len(wrong),), generator=draw).float()
    visits[0], losses[0], ages[0], ages[1] = 0, 0.0, 0.0, 50.0
    signals = Signals(losses=losses, averages=losses * 1.01, ages=ages, visits=visits, valid=visits > 0, kind=kind)
    return signals, wrong


@pytest.fixture
def run(tmp_path):
    """A finished run of digits with 20 % wrong labels: its folder, its record and its truth."""
    task = get_task("digits")
    splits = task.load(task.preset("cpu"), LoadOptions(seed=3, label_noise=0.2))
    record = make(seed=3, config={"label_noise": 0.2, "data": splits.fingerprint})
    folder = tmp_path / "runs"
    path = RecordStore(folder).write(record)
    signals, _ = made_up(wrong=splits.train_noisy.clone())
    write_instances(instances_path(path), signals, {"wrong": splits.train_noisy, "targets": splits.train.targets})
    return folder, record, splits


def inspect(run, tmp_path, width=100, **flags):
    screen = io.StringIO()
    page = tmp_path / "new" / "page.html"
    Inspect(run=run, output=page, **flags).do(Console(file=screen, width=width))
    return screen.getvalue(), page


class Page(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.pictures, self.words, self.links = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        self.pictures += [found["src"]] if tag == "img" else []
        self.links += [value for name, value in attrs if name in ("href", "src")]

    def handle_data(self, data):
        self.words.append(data)


def decoded(address):
    """Read one of our PNG pictures back, checksums and all: height x width x channels."""
    data = base64.b64decode(address.removeprefix("data:image/png;base64,"))
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    place, parts = 8, {}
    while place < len(data):
        (size,) = struct.unpack(">I", data[place : place + 4])
        name, body = data[place + 4 : place + 8], data[place + 8 : place + 8 + size]
        assert struct.unpack(">I", data[place + 8 + size : place + 12 + size]) == (zlib.crc32(name + body),)
        parts[name], place = body, place + 12 + size
    width, height, depth, colour, *rest = struct.unpack(">IIBBBBB", parts[b"IHDR"])
    assert (depth, rest) == (8, [0, 0, 0])
    channels = {0: 1, 2: 3}[colour]
    lines = np.frombuffer(zlib.decompress(parts[b"IDAT"]), dtype=np.uint8).reshape(height, 1 + width * channels)
    assert not lines[:, 0].any()
    return lines[:, 1:].reshape(height, width, channels)


@pytest.mark.parametrize("n", [0, 1, 700])
def test_an_instance_file_keeps_every_value(n, tmp_path):
    wrong = torch.arange(n) % 3 == 0
    visits = torch.arange(n) * 100
    signals = Signals(
        losses=torch.rand(n).bfloat16(),
        averages=torch.rand(n),
        ages=torch.arange(n).float(),
        visits=visits,
        kind="other",
    )
    path = write_instances(tmp_path / "a" / "x.instances.npz", signals, {"wrong": wrong, "mastered": ~wrong})
    back = read_instances(path)
    assert len(back) == n
    assert back.signals.kind == "other"
    for name in ("losses", "averages", "ages", "visits"):
        assert torch.equal(getattr(back.signals, name), getattr(signals, name).to(getattr(back.signals, name).dtype))
    assert torch.equal(back.signals.valid, visits > 0)
    assert set(back.extra) == {"wrong", "mastered"}
    assert torch.equal(back.extra["wrong"], wrong)
    before = path.read_bytes()
    write_instances(path, signals, {"wrong": wrong, "mastered": ~wrong})
    assert path.read_bytes() == before
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


def test_an_instance_file_is_small(tmp_path):
    signals, wrong = made_up(10_000)
    signals = replace(signals, losses=signals.losses.bfloat16(), averages=signals.averages.bfloat16())
    path = write_instances(tmp_path / "x.npz", signals, {"wrong": wrong})
    assert path.stat().st_size < 8 * 10_000


def test_what_cannot_be_written_is_refused(tmp_path):
    signals, wrong = made_up(10)
    path = tmp_path / "x.npz"
    with pytest.raises(ArgumentError, match="needs averages"):
        write_instances(path, Signals(losses=torch.ones(3)))
    with pytest.raises(ArgumentError, match="wrong has shape"):
        write_instances(path, signals, {"wrong": wrong[:5]})
    with pytest.raises(ArgumentError, match="'visits' has the name"):
        write_instances(path, signals, {"visits": wrong})
    assert not path.exists()
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="Fix:"):
        write_instances(tmp_path / "file" / "x.npz", signals)


@pytest.mark.parametrize("cut", [0, 10, 200, -30])
def test_a_damaged_instance_file_is_named(cut, tmp_path):
    path = write_instances(tmp_path / "x.npz", made_up(200)[0])
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(InstanceFileError, match=r"x\.npz is no usable instance file: .*Do its run again"):
        read_instances(path)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"format": np.int64(9)}, "format 9"),
        ({"losses": None}, "lacks losses"),
        ({"visits": np.ones(7, dtype=np.int64)}, "column visits has shape"),
        ({"visits": np.ones(50)}, "column visits has type float64"),
        ({"kind": np.str_("nonsense")}, "kind 'nonsense'"),
        ({"wrong": np.array([None] * 50)}, "Object arrays|allow_pickle"),
    ],
)
def test_a_file_of_another_kind_is_refused(change, says, tmp_path):
    path = write_instances(tmp_path / "x.npz", made_up(50)[0])
    with np.load(path) as file:
        arrays = {**{name: file[name] for name in file.files}, **change}
    np.savez(path, **{name: array for name, array in arrays.items() if array is not None})
    with pytest.raises(InstanceFileError, match=says):
        read_instances(path)


def test_a_missing_instance_file_says_how_to_get_one(tmp_path):
    with pytest.raises(FileNotFoundError, match="written by runs that record losses"):
        read_instances(tmp_path / "x.npz")


def test_pictures_come_back_as_they_were():
    draw = torch.Generator().manual_seed(0)
    for shape in ((1, 28, 28), (3, 32, 32), (3, 1, 5)):
        image = torch.randint(0, 256, shape, generator=draw, dtype=torch.uint8)
        back = decoded("data:image/png;base64," + base64.b64encode(png(image)).decode())
        assert np.array_equal(back, image.permute(1, 2, 0).numpy())
    flat = torch.linspace(-1, 1, 64)
    assert np.array_equal(decoded(picture_of("digits", flat)).reshape(-1), np.round((flat.numpy() + 1) * 127.5))
    assert decoded(picture_of("digits", torch.zeros(64))).max() == 0
    assert picture_of("bike", torch.rand(64)) is None
    assert picture_of("mnist", torch.rand(2, 4, 4)) is None


def test_the_lists_hold_the_rows_that_they_promise(run):
    folder, record, splits = run
    path, _ = find_record(record.run_id, folder)
    instances = read_instances(instances_path(path))
    rows = Rows(splits.train.inputs, splits.train.targets)
    inspection = inspect_instances(record, instances, rows, 15)
    hardest, unseen, suspected = inspection.listings
    doubted = inspection.diagnosis.noise.suspicion > 0.5
    order = sorted(range(1, len(instances)), key=lambda i: (-instances.signals.averages[i].item(), i))
    assert [item.row for item in hardest.items] == [row for row in order if not doubted[row]][:15]
    assert [item.row for item in suspected.items] == order[:15]
    assert [item.row for item in unseen.items][:2] == [0, 1]
    assert (unseen.items[0].age, unseen.items[1].age) == ("never", "50")
    assert all(item.wrong for item in suspected.items)
    assert "1 row of" in unseen.note
    wrong = instances.extra["wrong"]
    assert f" of {int(wrong.sum())} in all (recall 9" in suspected.note or "(recall 100 %)" in suspected.note
    known = int(wrong[[item.row for item in hardest.items]].sum())
    assert f"but for the suspected, which are listed below. {known} of these are known to be wrong" in hardest.note
    for item in hardest.items:
        assert item.label == str(int(splits.train.targets[item.row]))
        assert float(item.loss) == pytest.approx(instances.signals.averages[item.row].item(), rel=6e-3)


def test_precision_is_counted_by_hand():
    signals, wrong = made_up(600)
    claimed = wrong.clone()
    claimed[wrong.nonzero()[:30, 0]] = False  # 30 of the suspects are right after all
    record = make(config={"label_noise": 0.2})
    inspection = inspect_instances(record, Instances(signals, {"wrong": claimed}), None, 5)
    doubted = inspection.diagnosis.noise.suspicion > 0.5
    hits, total = int((doubted & claimed).sum()), int(doubted.sum())
    note = inspection.listings[2].note
    assert note.startswith(f"{total} rows with a suspicion above one half")
    assert f"Known to be wrong: {hits} of them (precision {100 * hits / total:.0f} %), of {hits} in all" in note


@pytest.mark.parametrize("width", [80, 120])
def test_inspect_prints_tables_and_writes_a_page_that_needs_nothing_else(width, run, tmp_path):
    folder, record, splits = run
    text, page = inspect(record.run_id[:7], tmp_path, width, folder=folder, top=6)
    assert text.splitlines()[-1] == str(page.resolve())
    assert max(map(len, text.splitlines()[:-1])) <= width
    for part in (
        "coverage",
        "suspected label noise",
        "Hardest",
        "Never selected",
        "Suspected mislabelled",
        "precision",
        "last: the last of them. visits: how often it was trained on; age: passes since then.",
    ):
        assert part in " ".join(text.split())
    html = page.read_text(encoding="utf-8")
    found = Page(html)
    assert len(found.pictures) == 18
    assert all(link.startswith("data:") for link in found.links)
    stored = splits.train.inputs[0]
    first = found.pictures[6]  # of the never-selected row 0
    assert np.array_equal(decoded(first), decoded(picture_of("digits", stored)))
    assert decoded(first).shape == (8, 8, 1)
    assert "image-rendering: pixelated" in html
    assert "<script" not in html
    assert 'name="viewport"' in html
    clean = get_task("digits").load(get_task("digits").preset("cpu"), LoadOptions(seed=3)).train.targets
    wrong_rows = splits.train_noisy
    right = [f"wrong: it is {int(clean[i])}" for i in wrong_rows.nonzero().flatten().tolist()]
    assert any(words in html for words in right)


def test_a_task_without_pictures_and_without_known_wrong_rows(tmp_path):
    task = get_task("regression")
    splits = task.load(task.preset("smoke"), LoadOptions())
    record = make("regression", config={"preset": "smoke", "data": splits.fingerprint})
    path = RecordStore(tmp_path).write(record)
    signals, _ = made_up(len(splits.train), share=0.05, kind="squared_error")
    write_instances(instances_path(path), replace(signals, losses=signals.losses**4, averages=signals.losses**4))
    text, page = inspect(str(path), tmp_path, top=3)
    assert "suspected outliers" in text
    assert Page(page.read_text(encoding="utf-8")).pictures == []


def test_every_value_is_escaped(run):
    folder, record, _ = run
    path, _ = find_record(record.run_id, folder)
    inspection = inspect_instances(record, read_instances(instances_path(path)), None, 2)
    html = render_inspection(replace(inspection, title="<b>&", lines=("<i>",)))
    assert "<b>&" not in html
    assert "&lt;b&gt;&amp;" in html
    assert html == render_inspection(replace(inspection, title="<b>&", lines=("<i>",)))
    assert len(list(terminal_tables(inspection))) == 5  # the diagnosis, three lists, and what the columns are


def test_without_data_there_are_tables_and_no_pictures(run, tmp_path):
    folder, record, _ = run
    other = make(seed=3, config={"label_noise": 0.2, "data": "other:00"})
    path = RecordStore(folder).write(other)
    write_instances(instances_path(path), made_up()[0])
    text, page = inspect(other.run_id, tmp_path, folder=folder)
    assert "No pictures" in text
    assert "are not those of the record" in " ".join(text.split())
    assert Page(page.read_text(encoding="utf-8")).pictures == []
    assert record.run_id != other.run_id


def test_inspect_says_what_is_wrong(run, tmp_path):
    folder, record, _ = run
    with pytest.raises(FileNotFoundError, match="no results folder"):
        inspect("abc", tmp_path, folder=tmp_path / "none")
    with pytest.raises(FileNotFoundError, match="no record of run 'zz'"):
        inspect("zz", tmp_path, folder=folder)
    with pytest.raises(FileNotFoundError, match="no record"):
        inspect("nothing.json", tmp_path)
    with pytest.raises(ArgumentError, match="--top 0"):
        inspect(record.run_id, tmp_path, folder=folder, top=0)
    second = RecordStore(folder).write(make(seed=4))
    with pytest.raises(ArgumentError, match=r"2 runs .* give more of the id"):
        inspect("", tmp_path, folder=folder)
    with pytest.raises(FileNotFoundError, match="no instance file"):
        inspect(second.stem, tmp_path, folder=folder)
    second.write_text("{}")
    with pytest.raises(DamagedRecordError):
        inspect(second.stem, tmp_path, folder=folder)
    path = find_record(record.run_id, folder)[0]
    write_instances(instances_path(path), made_up(10)[0])
    with pytest.raises(InstanceFileError, match="it has 10 rows"):
        inspect(record.run_id, tmp_path, folder=folder)
