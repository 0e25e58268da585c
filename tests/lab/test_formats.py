"""Reading files in the formats that the data sets are published in."""

import gzip
import io
import os
import pickle
import tarfile
import zipfile

import numpy as np
import pytest

from adaselection.lab import formats

RNG = np.random.default_rng(0)


def cifar_archive(path, batches, protocol=2):
    with tarfile.open(path, "w:gz") as archive:
        for name, content in batches.items():
            packed = content if isinstance(content, bytes) else pickle.dumps(content, protocol=protocol)
            member = tarfile.TarInfo(f"cifar-10-batches-py/{name}")
            member.size = len(packed)
            archive.addfile(member, io.BytesIO(packed))
    return path


def cifar_batches(rows=2):
    names = [f"data_batch_{number}" for number in range(1, 6)] + ["test_batch"]
    return {
        name: {
            b"batch_label": name.encode(),
            b"labels": [(position + row) % 10 for row in range(rows)],
            b"data": RNG.integers(0, 256, (rows, 3072), dtype=np.uint8),
        }
        for position, name in enumerate(names)
    }


@pytest.mark.parametrize("protocol", [2, 4])
def test_the_official_cifar10_archive_is_read(tmp_path, protocol):
    batches = cifar_batches()
    arrays = formats.read_cifar10_archive([cifar_archive(tmp_path / "c.tar.gz", batches, protocol)])
    assert {key: array.shape for key, array in arrays.items()} == {
        "x_train": (10, 32, 32, 3), "y_train": (10,), "x_test": (2, 32, 32, 3), "y_test": (2,),
    }  # fmt: skip
    assert arrays["y_train"].tolist() == [0, 1, 1, 2, 2, 3, 3, 4, 4, 5]
    assert arrays["y_train"].dtype == np.uint8
    # a row of the file is 1,024 red pixels, then green, then blue, each from left to right and top to bottom
    second = batches["data_batch_2"][b"data"][1]
    for channel in range(3):
        assert arrays["x_train"][3, 5, 7, channel] == second[1024 * channel + 32 * 5 + 7]


def test_a_cifar10_archive_without_a_batch_says_which(tmp_path):
    batches = cifar_batches()
    del batches["data_batch_4"]
    with pytest.raises(formats.FormatError, match="lacks data_batch_4"):
        formats.read_cifar10_archive([cifar_archive(tmp_path / "c.tar.gz", batches)])


class Intruder:
    def __reduce__(self):
        return (os.mkdir, (os.environ["ADASELECTION_TEST_INTRUDER"],))


def test_a_pickle_that_would_run_code_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("ADASELECTION_TEST_INTRUDER", str(tmp_path / "was here"))
    batches = cifar_batches() | {"data_batch_1": pickle.dumps({b"data": Intruder(), b"labels": []}, protocol=2)}
    with pytest.raises(pickle.UnpicklingError, match="mkdir, which is no array"):
        formats.read_cifar10_archive([cifar_archive(tmp_path / "c.tar.gz", batches)])
    assert not (tmp_path / "was here").exists()


@pytest.mark.parametrize("share", [0.0, 0.1, 0.9, 0.99])
def test_a_truncated_archive_raises_what_the_finder_catches(tmp_path, share):
    path = cifar_archive(tmp_path / "c.tar.gz", cifar_batches())
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    with pytest.raises(formats.READ_ERRORS):
        formats.read_cifar10_archive([path])


def idx_file(path, array, type_code=8, cut=0):
    header = bytes([0, 0, type_code, array.ndim]) + b"".join(size.to_bytes(4, "big") for size in array.shape)
    content = header + array.tobytes()
    path.write_bytes(gzip.compress(content[: len(content) - cut]))
    return path


def test_the_official_mnist_files_are_read(tmp_path):
    parts = [RNG.integers(0, 256, shape, dtype=np.uint8) for shape in ((5, 28, 28), (5,), (3, 28, 28), (3,))]
    paths = [idx_file(tmp_path / f"{number}.gz", part) for number, part in enumerate(parts)]
    arrays = formats.read_mnist_idx(paths)
    assert list(arrays) == ["x_train", "y_train", "x_test", "y_test"]
    for array, part in zip(arrays.values(), parts, strict=True):
        np.testing.assert_array_equal(array, part)
        assert array.flags.writeable  # torch warns about memory that it must not write to


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"type_code": 0x0D}, "no idx file of unsigned bytes"),
        ({"cut": 1}, r"announces \[5\] values but has 4 bytes"),
        ({"cut": 13}, "no idx file"),
    ],
)
def test_an_idx_file_that_is_something_else_is_refused_by_name(tmp_path, changes, words):
    path = idx_file(tmp_path / "labels.gz", np.arange(5, dtype=np.uint8), **changes)
    with pytest.raises(formats.FormatError, match=rf"labels\.gz.*{words}"):
        formats.read_mnist_idx([path] * 4)


def test_a_truncated_idx_file_is_refused_by_name(tmp_path):
    path = idx_file(tmp_path / "labels.gz", np.arange(5, dtype=np.uint8))
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(formats.FormatError, match=r"labels\.gz: Compressed file ended"):
        formats.read_mnist_idx([path] * 4)


BIKE_TEXT = (
    "instant,dteday," + ",".join(formats.BIKE_COLUMNS) + "\n"
    "1,2011-01-01,1,0,1,0,6,0,2,0.344167,0.363625,0.805833,0.160446,331,654,985\n"
    "2,2011-01-02,1,0,1,0,0,0,2,0.363478,0.353739,0.696087,0.248539,131,670,801\n"
)


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_the_bike_table_is_the_same_from_csv_and_archive(tmp_path, ending):
    text = BIKE_TEXT.replace("\n", ending)
    (tmp_path / "day.csv").write_bytes(text.encode())
    with zipfile.ZipFile(tmp_path / "bike.zip", "w") as archive:
        archive.writestr("Readme.txt", "hello")
        archive.writestr("day.csv", text)
    days = formats.read_bike_csv([tmp_path / "day.csv"])["days"]
    assert days.shape == (2, 14)
    assert days[0].tolist() == [1, 0, 1, 0, 6, 0, 2, 0.344167, 0.363625, 0.805833, 0.160446, 331, 654, 985]
    np.testing.assert_array_equal(formats.read_bike_zip([tmp_path / "bike.zip"])["days"], days)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (BIKE_TEXT.replace("hum", "humidity"), "lacks the columns hum"),
        ("", "lacks the columns season"),
        (BIKE_TEXT.replace("0.344167", "warm"), "could not convert"),
        (BIKE_TEXT[:-12], None),
    ],
)
def test_a_bike_table_that_is_something_else_raises_what_the_finder_catches(tmp_path, text, words):
    (tmp_path / "day.csv").write_text(text)
    with pytest.raises(formats.READ_ERRORS, match=words):
        formats.read_bike_csv([tmp_path / "day.csv"])
