"""The published forms of CIFAR-100, SVHN and WikiText-2, on small files made here."""

import zipfile

import numpy as np
import pytest
import torch
from scipy.io import savemat

from adaselection.lab import data, formats, sources, wikitext
from adaselection.lab.data import load_arrays
from adaselection.lab.digests import file_digest
from adaselection.lab.sources import SOURCES, Layout, Source
from adaselection.lab.tasks import LoadOptions, Preset, get_task, wikitext2
from lab.stand_ins import no_files
from lab.test_download import served
from lab.test_formats import cifar_archive

__all__ = ["no_files"]  # a fixture

RNG = np.random.default_rng(0)


def mat_files(folder, train=4, test=3, **changes):
    folder.mkdir(parents=True, exist_ok=True)
    made = {}
    for name, rows in (("train_32x32.mat", train), ("test_32x32.mat", test)):
        images = RNG.integers(0, 256, (32, 32, 3, rows), dtype=np.uint8)
        labels = np.resize(np.arange(10, 0, -1, dtype=np.uint8), (rows, 1))  # 10, 9, ...: 10 stands for the digit 0
        made[name] = {"X": images, "y": labels, **changes}
        savemat(folder / name, {key: value for key, value in made[name].items() if value is not None})
    return [folder / name for name in made], made


def test_the_official_svhn_files_are_read_and_10_is_the_digit_0(tmp_path):
    paths, made = mat_files(tmp_path)
    arrays = formats.read_svhn_mat(paths)
    assert {key: array.shape for key, array in arrays.items()} == {
        "x_train": (4, 32, 32, 3), "y_train": (4,), "x_test": (3, 32, 32, 3), "y_test": (3,),
    }  # fmt: skip
    assert arrays["y_train"].tolist() == [0, 9, 8, 7]
    assert {str(array.dtype) for array in arrays.values()} == {"uint8"}
    assert arrays["x_train"][2, 5, 7, 1] == made["train_32x32.mat"]["X"][5, 7, 1, 2]


@pytest.mark.parametrize(
    ("changes", "words"),
    [({"y": None}, "lacks y"), ({"y": np.zeros((4, 1), np.uint8)}, "are no cropped digits")],
)
def test_a_mat_file_that_is_something_else_is_refused_by_name(tmp_path, changes, words):
    paths, _ = mat_files(tmp_path, **changes)
    with pytest.raises(formats.FormatError, match=rf"train_32x32\.mat.*{words}"):
        formats.read_svhn_mat(paths)


@pytest.mark.parametrize("share", [0.0, 0.02, 0.5, 0.95])
def test_a_truncated_mat_file_raises_what_the_finder_catches(tmp_path, share):
    paths, _ = mat_files(tmp_path)
    paths[0].write_bytes(paths[0].read_bytes()[: int(share * paths[0].stat().st_size)])
    with pytest.raises(formats.READ_ERRORS):
        formats.read_svhn_mat(paths)


def test_svhn_is_downloaded_checked_by_hash_and_trains(monkeypatch, tmp_path):
    paths, _ = mat_files(tmp_path / "served", train=60, test=20)
    monkeypatch.setattr(data, "cache_dir", lambda: tmp_path / "cache")
    monkeypatch.delenv(data.FOLDER_VARIABLE, raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    real = SOURCES["svhn"]
    arrays = {name: (kind, (60 if "train" in name else 20, *shape[1:])) for name, (kind, shape) in real.arrays.items()}
    with served(paths[0].parent) as url:
        urls = tuple(f"{url}/{path.name}" for path in paths)
        layout = Layout(real.published.files, real.published.read, urls, tuple(map(file_digest, paths)))
        monkeypatch.setattr(data, "SOURCES", {"svhn": Source("svhn", real.title, arrays, {}, (layout,))})
        loaded = load_arrays("svhn")
    assert loaded.order == "official"
    assert [path.parent for path in loaded.paths] == [tmp_path / "cache" / "svhn"] * 2
    task = get_task("svhn")
    parts = task.load(Preset("resnet8", 1, 20, 0.1), LoadOptions())  # with no server left
    assert (len(parts.train), len(parts.test)) == (60, 20)
    assert parts.train.targets[:3].tolist() == [0, 9, 8]


def test_the_official_cifar100_archive_is_read_with_its_fine_labels(tmp_path):
    batches = {
        name: {
            b"fine_labels": [99, position],
            b"coarse_labels": [1, 1],
            b"data": RNG.integers(0, 256, (2, 3072), dtype=np.uint8),
        }
        for position, name in enumerate(("train", "test"))
    }
    arrays = formats.read_cifar100_archive([cifar_archive(tmp_path / "c.tar.gz", batches)])
    assert (arrays["y_train"].tolist(), arrays["y_test"].tolist()) == ([99, 0], [99, 1])
    assert arrays["x_test"][1, 3, 4, 2] == batches["test"][b"data"][1][2 * 1024 + 3 * 32 + 4]


TEXTS = {"train": " \n = A title = \n \n One word , one\n", "valid": " one <unk>\n", "test": "title One"}


def test_the_texts_become_numbers_of_words_in_order_of_appearance(tmp_path):
    paths = [tmp_path / name for name in wikitext.WIKITEXT_FILES]
    with zipfile.ZipFile(tmp_path / "w.zip", "w") as archive:
        for path, text in zip(paths, TEXTS.values(), strict=True):
            path.write_text(text, encoding="utf-8")
            archive.writestr(f"wikitext-2/{path.name}", text)
    arrays = wikitext.read_wikitext_files(paths)
    # <eos> = A title One word , one <unk>
    assert arrays["train"].tolist() == [0, 1, 2, 3, 1, 0, 0, 4, 5, 6, 7, 0]
    assert arrays["valid"].tolist() == [7, 8, 0]
    assert arrays["test"].tolist() == [3, 4, 0]
    for name, array in wikitext.read_wikitext_zip([tmp_path / "w.zip"]).items():
        np.testing.assert_array_equal(array, arrays[name])


def test_an_archive_without_a_text_says_which(tmp_path):
    with zipfile.ZipFile(tmp_path / "w.zip", "w") as archive:
        archive.writestr("wikitext-2/wiki.train.tokens", "a")
    with pytest.raises(formats.FormatError, match=r"lacks wiki\.valid\.tokens, wiki\.test\.tokens"):
        wikitext.read_wikitext_zip([tmp_path / "w.zip"])


def test_the_registry_reads_the_texts_by_their_names():
    assert SOURCES["wikitext2"].layouts[1].files == wikitext.WIKITEXT_FILES
    assert sources.SOURCES["svhn"].published.files == ("train_32x32.mat", "test_32x32.mat")


# The task


def test_a_sequence_is_35_words_and_its_targets_are_the_words_after_each(no_files):
    text = no_files["wikitext2"]["train"].astype(np.int64)
    parts = wikitext2.load(Preset("transformer_small", 1, 20, 0.1), LoadOptions())
    assert parts.train.inputs.shape == parts.train.targets.shape == ((len(text) - 1) // 35, 35)
    assert parts.train.inputs[3].tolist() == text[105:140].tolist()
    assert parts.train.targets[3].tolist() == text[106:141].tolist()


def test_a_smaller_vocabulary_keeps_the_frequent_words_of_the_training_text(no_files):
    no_files["wikitext2"]["train"] = np.array([5] * 30 + [7] * 20 + [3] * 10 + [9] * 2 + [4] * 100, dtype=np.uint16)
    preset = Preset("transformer_small", 1, 20, 0.1, train_size=1, vocabulary=3)  # 36 words: 5 and 7, and <unk>
    parts = wikitext2.load(preset, LoadOptions())
    assert set(parts.train.inputs.flatten().tolist()) == {1, 2}
    assert (parts.train.inputs[0, 0], parts.train.inputs[0, -1]) == (1, 2)  # 5 is the more frequent of the two
    assert set(parts.test.inputs.flatten().tolist()) == {0, 1, 2}  # every other word is <unk>


def test_the_loss_of_a_sequence_is_the_mean_over_its_words():
    logits, targets = torch.randn(3, 35, 6), torch.randint(6, (3, 35))
    losses = wikitext2.SequenceLoss()(logits, targets)
    slow = [-logits[i].log_softmax(1)[range(35), targets[i]].mean() for i in range(3)]
    torch.testing.assert_close(losses, torch.stack(slow))


def test_the_transformer_sees_no_word_that_comes_later():
    model = wikitext2.build(Preset("transformer_small", 1, 20, 0.1, vocabulary=50), _parts()).eval()
    words = torch.randint(50, (2, 35))
    other = words.clone()
    other[:, 20:] = torch.randint(50, (2, 15))
    one, two = model(words), model(other)
    torch.testing.assert_close(one[:, :20], two[:, :20])
    assert not torch.allclose(one[:, 20:], two[:, 20:])


def _parts():
    words = wikitext2._part(np.zeros((2, 36), dtype=np.int64))
    return wikitext2.Splits(words, words, words, "x", torch.zeros(2, dtype=torch.bool))


def test_the_loss_of_a_text_is_in_nats_a_word_and_one_answer_is_a_collapse():
    class Constant(torch.nn.Module):
        def forward(self, words):
            return torch.tensor([2.0, 0.0, 0.0]).expand(*words.shape, 3)

    data = wikitext2._part(RNG.integers(0, 3, (45, 36)))
    found = get_task("wikitext2").evaluate(Constant(), data)
    shares = torch.bincount(data.targets.flatten()) / data.targets.numel()
    expected = -(shares * torch.tensor([2.0, 0.0, 0.0]).log_softmax(0)).sum().item()
    assert found.value == pytest.approx(expected, rel=1e-6)
    assert found.collapsed
