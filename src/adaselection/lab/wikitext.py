"""Read WikiText-2 in the forms in which its authors publish it: as texts, and as an archive of them."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from adaselection.lab.formats import Arrays, FormatError

__all__ = ["WIKITEXT_FILES", "read_wikitext_files", "read_wikitext_zip"]

WIKITEXT_FILES = ("wiki.train.tokens", "wiki.valid.tokens", "wiki.test.tokens")
"""The texts of WikiText-2: words parted by blanks, a line a paragraph."""


def read_wikitext_files(paths: Sequence[Path]) -> Arrays:
    """Read the three texts as numbers of words.

    Returns:
        ``train``, ``valid``, ``test``: uint16 ``[n]``. Words are numbered in the order in which they first appear, line
            ends are the word ``<eos>``.

    Raises:
        FormatError: There are more words than uint16 can number.
    """
    return _word_numbers([path.read_text(encoding="utf-8") for path in paths])


def read_wikitext_zip(paths: Sequence[Path]) -> Arrays:
    """Read the texts out of the published archive; gives the same as `read_wikitext_files`."""
    with zipfile.ZipFile(paths[0]) as archive:
        names = {Path(name).name: name for name in archive.namelist()}
        if missing := [name for name in WIKITEXT_FILES if name not in names]:
            raise FormatError(f"the archive lacks {', '.join(missing)}")
        return _word_numbers([archive.read(names[name]).decode("utf-8") for name in WIKITEXT_FILES])


def _word_numbers(texts: Sequence[str]) -> Arrays:
    known: dict[str, int] = {}
    arrays: Arrays = {}
    for split, text in zip(("train", "valid", "test"), texts, strict=True):
        lines = text.split("\n")[: -1 if text.endswith("\n") else None]
        words = [word for line in lines for word in (*line.split(), "<eos>")]
        numbers = [known.setdefault(word, len(known)) for word in words]
        if len(known) > 1 << 16:
            raise FormatError(f"{len(known)} different words, which is no WikiText-2")
        arrays[split] = np.array(numbers, dtype=np.uint16)
    return arrays
