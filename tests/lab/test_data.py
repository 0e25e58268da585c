"""Finding and checking data files."""

import sys
from pathlib import Path

import numpy as np
import pytest

from adaselection.lab import data, formats
from adaselection.lab.data import DataDamagedError, DataNotFoundError, load_arrays
from adaselection.lab.digests import array_digests, file_digest, fingerprint, rows_digest
from adaselection.lab.sources import SOURCES, Layout
from lab.tiny_source import GOOD, RNG, store, tiny_source, use

__all__ = ["use"]  # a fixture

# Where files are looked for


def test_the_named_folder_wins_then_the_variable_then_the_cache(use, monkeypatch, tmp_path):
    copies = [{**GOOD, "y_test": GOOD["y_test"][::-1].copy() + shift} for shift in range(3)]
    use(tiny_source(orders={name: array_digests(copy) for name, copy in zip("abc", copies, strict=True)}))
    for name, copy in zip(("argument", "variable", "cache"), copies, strict=True):
        store(tmp_path / name / "tiny.npz", copy)
    assert load_arrays("tiny").order == "c"
    monkeypatch.setenv(data.FOLDER_VARIABLE, str(tmp_path / "variable"))
    assert load_arrays("tiny").order == "b"
    loaded = load_arrays("tiny", tmp_path / "argument")
    assert loaded.order == "a"
    assert loaded.paths == (tmp_path / "argument" / "tiny.npz",)
    assert loaded.fingerprint == fingerprint("a", array_digests(copies[0]))
    np.testing.assert_array_equal(loaded.values["y_test"], copies[0]["y_test"])


def test_files_may_lie_in_a_folder_of_the_sets_name(use, tmp_path):
    path = store(tmp_path / "tiny" / "tiny.npz")
    assert load_arrays("tiny", tmp_path).paths == (path,)


def test_a_set_of_several_files_is_taken_only_when_all_are_there(use, tmp_path):
    def read_two(paths):
        return formats.read_npz(paths[:1]) | formats.read_npz(paths[1:])

    pair = Layout(("train.npz", "test.npz"), read_two)
    use(tiny_source(layouts=(pair, *tiny_source().layouts)))
    store(tmp_path / "train.npz", {key: GOOD[key] for key in ("x_train", "y_train")})
    store(tmp_path / "tiny" / "tiny.npz")
    assert [path.name for path in load_arrays("tiny", tmp_path).paths] == ["tiny.npz"]
    store(tmp_path / "test.npz", {key: GOOD[key] for key in ("x_test", "y_test")})
    assert [path.name for path in load_arrays("tiny", tmp_path).paths] == ["train.npz", "test.npz"]


@pytest.mark.parametrize("origin", ["--data-dir", f"${data.FOLDER_VARIABLE}"])
def test_a_named_folder_that_is_none_is_an_error_not_a_download(use, monkeypatch, tmp_path, origin):
    store(tmp_path / "cache" / "tiny.npz")
    missing = tmp_path / "mistyped"
    if origin.startswith("$"):
        monkeypatch.setenv(data.FOLDER_VARIABLE, str(missing))
    with pytest.raises(DataNotFoundError, match="mistyped, which is no folder") as caught:
        load_arrays("tiny", None if origin.startswith("$") else missing)
    assert origin in str(caught.value)


def test_the_cache_is_where_the_user_says(monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert data.cache_dir() == tmp_path / "adaselection"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert data.cache_dir() == Path.home() / ".cache" / "adaselection"


def test_an_unknown_set_is_answered_with_the_nearest():
    with pytest.raises(ValueError, match=r"unknown data set 'cifar1'\. Did you mean 'cifar10'"):
        load_arrays("cifar1")


# Content that is not what it should be


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"x_test": None}, "lacks x_test; it has x_train, y_train, y_test"),
        ({"y_train": GOOD["y_train"].astype(np.int64)}, "y_train is int64 [6], but should be uint8 [6]"),
        ({"x_test": GOOD["x_test"][:3]}, "x_test is uint8 [3, 2, 2, 3], but should be uint8 [4, 2, 2, 3]"),
        ({"x_test": np.array([None])}, "cannot be read (ValueError: Object arrays"),
        ({"x_test": GOOD["x_test"] ^ 1}, "the values are not those of any known copy"),
    ],
    ids=["missing key", "wrong type", "wrong shape", "pickled objects", "wrong values"],
)
def test_wrong_content_is_named_and_the_file_left_alone(use, tmp_path, change, words):
    stored = {key: array for key, array in {**GOOD, **change}.items() if array is not None}
    path = store(tmp_path / "tiny.npz", stored)
    before = path.read_bytes()
    with pytest.raises(DataDamagedError) as caught:
        load_arrays("tiny", tmp_path)
    assert words in str(caught.value)
    assert f"mv {path} {path}.damaged" in str(caught.value)
    assert path.read_bytes() == before


@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.95, 0.999])
def test_a_truncated_file_is_damaged_wherever_it_ends(use, tmp_path, share):
    path = store(tmp_path / "tiny.npz")
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    with pytest.raises(DataDamagedError, match=r"tiny\.npz: it cannot be read"):
        load_arrays("tiny", tmp_path)


def test_a_flipped_byte_is_damaged(use, tmp_path):
    path = store(tmp_path / "tiny.npz")
    content = bytearray(path.read_bytes())
    content[content.index(GOOD["x_train"].tobytes())] ^= 1
    path.write_bytes(content)
    with pytest.raises(DataDamagedError, match="CRC"):
        load_arrays("tiny", tmp_path)


def test_unknown_values_are_named_and_can_be_accepted_by_their_hash(use, monkeypatch, tmp_path):
    other = {**GOOD, "x_test": GOOD["x_test"] ^ 1}
    store(tmp_path / "tiny.npz", other)
    with pytest.raises(DataDamagedError) as caught:
        load_arrays("tiny", tmp_path)
    message = str(caught.value)
    assert array_digests(other)["x_test"] in message
    assert array_digests(GOOD)["x_test"] in message
    total = fingerprint("accepted", array_digests(other)).removeprefix("accepted:")
    assert f"export {data.ACCEPT_VARIABLE}={total}" in message
    monkeypatch.setenv(data.ACCEPT_VARIABLE, f"{'1' * 64},{total}")
    assert load_arrays("tiny", tmp_path).fingerprint == f"accepted:{total}"
    monkeypatch.setenv(data.ACCEPT_VARIABLE, "1" * 64)
    with pytest.raises(DataDamagedError):
        load_arrays("tiny", tmp_path)


def test_the_same_rows_in_another_order_are_recognised(use, tmp_path):
    order = RNG.permutation(6)
    store(tmp_path / "tiny.npz", {**GOOD, "x_train": GOOD["x_train"][order], "y_train": GOOD["y_train"][order]})
    assert load_arrays("tiny", tmp_path).order == "reordered"


def test_pictures_and_labels_that_are_mixed_up_are_not(use, tmp_path):
    store(tmp_path / "tiny.npz", {**GOOD, "x_train": GOOD["x_train"][::-1]})
    with pytest.raises(DataDamagedError, match="not those of any known copy"):
        load_arrays("tiny", tmp_path)


def test_a_published_file_is_official_whatever_order_it_has(use, tmp_path):
    path = store(tmp_path / "tiny-published.npz")
    npz, published = tiny_source().layouts
    published = Layout(published.files, published.read, published.urls, (file_digest(path),))
    use(tiny_source(orders={}, rows={}, layouts=(npz, published)))
    assert load_arrays("tiny", tmp_path).order == "official"


# The registry


@pytest.mark.parametrize("source", SOURCES.values(), ids=SOURCES)
def test_every_row_of_the_registry_is_complete(source):
    hashes = [sha256 for known in source.orders.values() for sha256 in known.values()]
    hashes += [*source.rows.values(), *source.published.sha256]
    assert all(len(bytes.fromhex(sha256)) == 32 for sha256 in hashes)
    assert all(known.keys() == source.arrays.keys() for known in source.orders.values())
    assert len(source.published.urls) == len(source.published.files)
    assert len(source.published.sha256) in (0, len(source.published.files))
    # over plain http only what its hash protects
    assert all(url.startswith("https://") or source.published.sha256 for url in source.published.urls)


FILES = {"bike": "bike/day.csv", "svhn": "svhn/train_32x32.mat"}


@pytest.mark.parametrize(
    "source",
    [
        pytest.param(source, marks=pytest.mark.needs_data(FILES.get(name, f"{name}.npz")), id=name)
        for name, source in SOURCES.items()
    ],
)
def test_the_real_files_are_of_a_known_order(source):
    loaded = load_arrays(source.name)
    assert loaded.order in (source.orders or ("official",))
    for split, sha256 in source.rows.items():
        assert rows_digest(loaded.values[f"x_{split}"], loaded.values[f"y_{split}"]) == sha256
