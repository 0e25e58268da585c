"""Records in one archive: brought over whole, checked, never written over."""

import io
import tarfile

import pytest

from adaselection.lab.cli import main
from adaselection.lab.paper.archive import ArchiveError, Merged, merge, pack
from adaselection.lab.store import RecordStore, StoreError
from lab.records_factory import make


@pytest.fixture
def made(tmp_path):
    """Three records of two tasks, in a store and in an archive."""
    store = RecordStore(tmp_path / "far")
    for record in (make(seed=0), make(seed=1), make(task="mnist")):
        store.write(record)
    (store.folder / "digits" / "damaged.json").write_text("{")
    assert pack(store, tmp_path / "far.tar.gz") == 3
    return store, tmp_path / "far.tar.gz"


def files(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.glob("*/*.json")}


def test_what_is_packed_is_merged_byte_for_byte_and_once(made, tmp_path):
    far, archive = made
    near = RecordStore(tmp_path / "near")
    assert merge(archive, near) == Merged(added=3, known=0)
    packed = files(far.folder)
    del packed[next(path for path in packed if path.name == "damaged.json")]
    assert files(near.folder) == packed
    assert merge(archive, near) == Merged(added=0, known=3)


def test_a_record_that_is_there_stays_as_it_is(made, tmp_path):
    _, archive = made
    near = RecordStore(tmp_path / "near")
    mine = make(seed=0, environment={"host": "mine"})
    assert mine.run_id == make(seed=0).run_id
    path = near.write(mine)
    before = path.read_bytes()
    assert merge(archive, near) == Merged(added=2, known=1)
    assert path.read_bytes() == before


def archive_of(path, members):
    with tarfile.open(path, "w:gz") as archive:
        for name, content in members:
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


GOOD = make(seed=5)
NAME, TEXT = f"digits/{GOOD.run_id}.json", GOOD.to_json().encode()


@pytest.mark.parametrize(
    ("member", "words"),
    [
        ((NAME.replace("digits", "mnist"), TEXT), "holds the record of digits/"),
        (("../../" + NAME, TEXT), "holds the record of digits/"),
        ((NAME, TEXT.replace(b'"seed":5', b'"seed":6')), "does not match its config"),
        ((NAME, b"{"), "Expecting property name"),
        ((NAME, b"\xff{"), "codec can't decode"),
        (("digits/readme.txt", b"hello"), "Expecting value"),
    ],
    ids=["another place", "outside", "changed", "half", "no text", "no record"],
)
def test_one_bad_member_and_nothing_is_merged(tmp_path, member, words):
    first = make(seed=4)
    good = (f"digits/{first.run_id}.json", first.to_json().encode())
    path = archive_of(tmp_path / "bad.tar.gz", [good, member])
    near = RecordStore(tmp_path / "near")
    with pytest.raises(ArchiveError, match="Nothing was merged") as caught:
        merge(path, near)
    assert words in str(caught.value)
    assert str(path) in str(caught.value)
    assert files(near.folder) == {}
    assert not (tmp_path / "digits").exists()


def test_a_link_is_no_record(tmp_path):
    path = tmp_path / "bad.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        member = tarfile.TarInfo(NAME)
        member.type, member.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(member)
    with pytest.raises(ArchiveError, match="is no record"):
        merge(path, RecordStore(tmp_path / "near"))


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9, 0.999])
def test_a_truncated_archive_changes_nothing(made, tmp_path, share):
    _, archive = made
    archive.write_bytes(archive.read_bytes()[: int(share * archive.stat().st_size)])
    near = RecordStore(tmp_path / "near")
    with pytest.raises(ArchiveError, match="Nothing was merged"):
        merge(archive, near)
    assert files(near.folder) == {}


def test_an_archive_is_whole_or_not_at_all(made, tmp_path, monkeypatch):
    far, archive = made
    before = archive.read_bytes()
    monkeypatch.setattr(tarfile.TarFile, "addfile", _full)
    with pytest.raises(StoreError, match="No space left"):
        pack(far, archive)
    assert archive.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir() if path.name.endswith(".tmp")] == []


def _full(*_):
    raise OSError(28, "No space left on device")


def test_the_command_packs_and_merges(made, tmp_path, capsys):
    far, _ = made
    assert main(["paper", "--out", str(far.folder), "--pack", str(tmp_path / "again.tar.gz")]) == 0
    assert main(["paper", "--out", str(tmp_path / "near"), "--merge", str(tmp_path / "again.tar.gz")]) == 0
    assert [line.partition(": ")[2] for line in capsys.readouterr().out.splitlines()] == [
        "3 records",
        "3 records added, 0 known",
    ]
    assert main(["paper", "--out", str(tmp_path / "near"), "--merge", str(tmp_path / "none.tar.gz")]) == 1
    assert main(["paper", "--out", str(tmp_path / "none"), "--pack", str(tmp_path / "x.tar.gz")]) == 1
    assert main(["paper", "--pack", "a", "--merge", "b"]) == 1
    errors = capsys.readouterr().err
    assert "name a file that --pack wrote" in errors
    assert "no results folder" in errors
    assert "one at a time" in errors
