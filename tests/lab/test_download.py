"""Downloading data files, from a server on this machine."""

import contextlib
import http.server
import importlib.util
import sys
import threading

import pytest

from adaselection.lab import data
from adaselection.lab.data import DataDamagedError, DataNotFoundError, load_arrays
from adaselection.lab.digests import file_digest
from adaselection.lab.sources import Layout
from lab.tiny_source import GOOD, store, tiny_source, use

__all__ = ["use"]  # a fixture


def test_what_is_nowhere_is_described_to_the_last_command(use, monkeypatch, tmp_path):
    (tmp_path / "argument").mkdir()
    monkeypatch.setenv(data.FOLDER_VARIABLE, str(tmp_path))
    with pytest.raises(DataNotFoundError) as caught:
        load_arrays("tiny", tmp_path / "argument")
    target = tmp_path / "cache" / "tiny" / "tiny-published.npz"
    for words in (
        "Tiny set is not here",
        "pip install '.[data]' in a clone",
        f"{tmp_path / 'argument'} (--data-dir)",
        f"{tmp_path} (${data.FOLDER_VARIABLE})",
        f"{tmp_path / 'cache'} (the cache)",
        "  tiny.npz\n",
        f"curl -fL --create-dirs -o {target} 'http://127.0.0.1:9/tiny-published.npz'  # sha256 {'0' * 64}",
    ):
        assert words in str(caught.value)


@contextlib.contextmanager
def served(folder):
    """Serve a folder on this machine; yields its address."""

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args):
            super().__init__(*args, directory=str(folder))

        def log_message(self, *args):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.skipif(importlib.util.find_spec("pooch") is None, reason="downloads need the extra [data]")
class TestDownload:
    @pytest.fixture(autouse=True)
    def _real_pooch(self, use, monkeypatch):
        monkeypatch.delitem(sys.modules, "pooch")
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        self.use = use

    def publish(self, url, sha256):
        npz, published = tiny_source().layouts
        urls = (f"{url}/tiny.npz",)
        self.use(tiny_source(layouts=(npz, Layout(published.files, published.read, urls, sha256))))

    def test_a_download_is_kept_in_the_cache_and_not_repeated(self, tmp_path):
        path = store(tmp_path / "served" / "tiny.npz")
        with served(path.parent) as url:
            self.publish(url, (file_digest(path),))
            loaded = load_arrays("tiny")
        assert loaded.paths == (tmp_path / "cache" / "tiny" / "tiny-published.npz",)
        assert loaded.order == "first"
        assert load_arrays("tiny").fingerprint == loaded.fingerprint  # with no server left

    def test_a_download_without_a_published_hash_is_checked_once_decoded(self, tmp_path):
        path = store(tmp_path / "served" / "tiny.npz", {**GOOD, "x_test": GOOD["x_test"] ^ 1})
        with served(path.parent) as url:
            self.publish(url, ())
            with pytest.raises(DataDamagedError, match="not those of any known copy"):
                load_arrays("tiny")

    def test_a_download_of_another_hash_is_refused_and_leaves_nothing(self, tmp_path):
        path = store(tmp_path / "served" / "tiny.npz")
        with served(path.parent) as url:
            self.publish(url, ("1" * 64,))
            with pytest.raises(DataNotFoundError, match=r"the download failed: .*hash"):
                load_arrays("tiny")
        assert [file for file in (tmp_path / "cache").rglob("*") if file.is_file()] == []

    def test_a_machine_without_network_gets_the_commands(self):
        with pytest.raises(DataNotFoundError, match=r"(?s)the download failed: .*curl -fL"):
            load_arrays("tiny")
