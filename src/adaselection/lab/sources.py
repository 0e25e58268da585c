"""The data sets that the lab knows: their files, their arrays, their hashes, where they are published."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from numpy.typing import NDArray

from adaselection.lab import formats, wikitext

__all__ = ["SOURCES", "Layout", "Source"]


@dataclass(frozen=True)
class Layout:
    """Files that hold a whole data set together.

    Attributes:
        files: Their names.
        read: Turns their paths, in this order, into arrays by name.
        urls: Where each is published; empty where it is not.
        sha256: Of each file as published; empty where the publisher may pack it anew.
    """

    files: tuple[str, ...]
    read: Callable[[Sequence[Path]], dict[str, NDArray[Any]]]
    urls: tuple[str, ...] = ()
    sha256: tuple[str, ...] = ()


@dataclass(frozen=True)
class Source:
    """A data set.

    Attributes:
        name: Of its folder and of its npz file.
        title: For people.
        arrays: Type and shape of each array.
        orders: Known orders of the rows: name of the order to sha256 of the bytes of each array.
        layouts: The ways to store it, the preferred one first. The one with addresses can be downloaded.
        rows: For each of "train" and "test", a hash that does not depend on the order of the rows (see
            `adaselection.lab.digests.rows_digest`); empty where the order is part of the data.
    """

    name: str
    title: str
    arrays: Mapping[str, tuple[str, tuple[int, ...]]]
    orders: Mapping[str, Mapping[str, str]]
    layouts: tuple[Layout, ...]
    rows: Mapping[str, str] = field(default_factory=dict)

    @property
    def published(self) -> Layout:
        """The layout that can be downloaded."""
        return next(layout for layout in self.layouts if layout.urls)


_CIFAR10 = Source(
    name="cifar10",
    title="CIFAR-10",
    arrays={
        "x_train": ("uint8", (50000, 32, 32, 3)),
        "y_train": ("uint8", (50000,)),
        "x_test": ("uint8", (10000, 32, 32, 3)),
        "y_test": ("uint8", (10000,)),
    },
    orders={
        # files sorted by name, then numpy's RandomState(0).permutation: any prefix is a random subset
        "shuffled-0": {
            "x_train": "f882c394ae43b6f45e60de67c70d340eac2b9be32bc57d151a15aa93aeaf638a",
            "y_train": "17fddca178d0cda0ca2fc9a62822d35d6b974b1cbd667eef8d47ea53f3fbbef4",
            "x_test": "5e95d80e3dfe4bb1a000e1cf5ac7b525f879a717183ac9f777f658f0da49b232",
            "y_test": "e8c46053e50a352b4111327bf3f19fffe309f16deb083ca53391a08137883c8c",
        },
    },
    layouts=(
        Layout(files=("cifar10.npz",), read=formats.read_npz),
        Layout(
            files=("cifar-10-python.tar.gz",),
            read=formats.read_cifar10_archive,
            urls=("https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",),
            sha256=("6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce",),
        ),
    ),
    rows={
        "train": "6a3b2c04d0a79ce272dcdacaf0bc440275db5a8cbe3717521a28fada2ea0d2ed",
        "test": "65a6ffe079453e514083f99356b35e02cbfd581b4951e3937fae188974b79f39",
    },
)

_CIFAR100 = Source(
    name="cifar100",
    title="CIFAR-100",
    arrays=_CIFAR10.arrays,
    orders={
        "shuffled-0": {
            "x_train": "dc09693f0e3efd52a738387ef2f510f936fad85309bdb6bf7be0da0173fe7520",
            "y_train": "cbf4030b1377441436d0dbafd850e207d16c73ee15701ec75b125c084108f0a2",
            "x_test": "2bb1a17579f39763eb122c904deff6deb62fe5fee54c25c8a55ab3a4ebe6e8d7",
            "y_test": "c694b6d5bb4959aea86a8229d789910afcf27ac6cf7c50155ffb015476e9ddfb",
        },
    },
    layouts=(
        Layout(files=("cifar100.npz",), read=formats.read_npz),
        Layout(
            files=("cifar-100-python.tar.gz",),
            read=formats.read_cifar100_archive,
            urls=("https://www.cs.toronto.edu/~kriz/cifar-100-python.tar.gz",),
            sha256=("85cd44d02ba6437773c5bbd22e183051d648de2e7d6b014e1ef29b855ba677a7",),
        ),
    ),
    rows={
        "train": "640c97a4012a8aebfcaf57fd82a33dd43b37d2e397a02cb9b0a3d89e6d6d936d",
        "test": "a6a97df7b61bc7420bc44268696e8963d33129bc050978f2a63d8fe3420989fa",
    },
)

_SVHN_FILES = ("train_32x32.mat", "test_32x32.mat")
_SVHN = Source(
    name="svhn",
    title="SVHN (cropped digits)",
    arrays={
        "x_train": ("uint8", (73257, 32, 32, 3)),
        "y_train": ("uint8", (73257,)),
        "x_test": ("uint8", (26032, 32, 32, 3)),
        "y_test": ("uint8", (26032,)),
    },
    orders={},  # known by the hashes of the published files
    layouts=(
        Layout(
            files=_SVHN_FILES,
            read=formats.read_svhn_mat,
            urls=tuple(f"http://ufldl.stanford.edu/housenumbers/{name}" for name in _SVHN_FILES),
            sha256=(
                "435e94d69a87fde4fd4d7f3dd208dfc32cb6ae8af2240d066de1df7508d083b8",
                "cdce80dfb2a2c4c6160906d0bd7c68ec5a99d7ca4831afa54f09182025b6a75b",
            ),
        ),
    ),
)

_MNIST_FILES = (
    "train-images-idx3-ubyte.gz",
    "train-labels-idx1-ubyte.gz",
    "t10k-images-idx3-ubyte.gz",
    "t10k-labels-idx1-ubyte.gz",
)
_MNIST = Source(
    name="mnist",
    title="MNIST",
    arrays={
        "x_train": ("uint8", (60000, 28, 28)),
        "y_train": ("uint8", (60000,)),
        "x_test": ("uint8", (10000, 28, 28)),
        "y_test": ("uint8", (10000,)),
    },
    orders={
        "official": {
            "x_train": "741c988805d008ac6e4c904b69001ba184c24b2c540a4ef403f4c71b676cf757",
            "y_train": "1feba77c54802fa5339a11837ea4b2866434b83314ec45192930f1df69120c13",
            "x_test": "6d87418db22cc8025d05968bec9bd5c3932904b23485740db143a061a2c9d161",
            "y_test": "ddeff807876a9661a1110d45c266c86239a3a1b7d37da0c3716a7a683c852ff5",
        },
    },
    layouts=(
        Layout(files=("mnist.npz",), read=formats.read_npz),
        Layout(
            files=_MNIST_FILES,
            read=formats.read_mnist_idx,
            urls=tuple(f"https://storage.googleapis.com/cvdf-datasets/mnist/{name}" for name in _MNIST_FILES),
            sha256=(
                "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
                "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
                "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
                "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
            ),
        ),
    ),
    rows={
        "train": "54e1ab866c9484947dd4821c52bb7a43938f555d6b046be6af55247f8e6ffc64",
        "test": "97b756d55950f1841ebd48df7379b9b2fc87a10d63e08d6213dad41d564e8508",
    },
)

_BIKE = Source(
    name="bike",
    title="UCI Bike Sharing (daily)",
    arrays={"days": ("float64", (731, len(formats.BIKE_COLUMNS)))},
    orders={"by-date": {"days": "e290701da16d9a8725131721f6c8c434c2a80b05e3f0191dfff5a1f5bb1c1fa4"}},
    layouts=(
        Layout(files=("day.csv",), read=formats.read_bike_csv),
        Layout(
            files=("bike-sharing-dataset.zip",),
            read=formats.read_bike_zip,
            urls=("https://archive.ics.uci.edu/static/public/275/bike+sharing+dataset.zip",),
        ),
    ),
)

_WIKITEXT2 = Source(
    name="wikitext2",
    title="WikiText-2",
    arrays={name: ("uint16", (tokens,)) for name, tokens in (("train", 2088628), ("valid", 217646), ("test", 245569))},
    orders={
        "official": {
            "train": "daba7b1d6225854c22ef1d1fb6a4b7e7bf520ce6722131c8bfa3769016cbde8d",
            "valid": "5fa4b1873a8e3de9ab54c0f0a4621465f82c070c528722628ac5cffa97b436eb",
            "test": "1e53ed8ea3a6a70672d62d571c418be8cd1a2954e2b91f12d8c9cd649e5f0663",
        }
    },
    layouts=(
        Layout(files=("wikitext2.npz",), read=formats.read_npz),
        Layout(files=wikitext.WIKITEXT_FILES, read=wikitext.read_wikitext_files),
        Layout(
            files=("wikitext-2-v1.zip",),
            read=wikitext.read_wikitext_zip,
            urls=("https://s3.amazonaws.com/research.metamind.io/wikitext/wikitext-2-v1.zip",),
            sha256=("92675f1d63015c1c8b51f1656a52d5bdbc33aafa60cc47a218a66e7ee817488c",),
        ),
    ),
)

SOURCES = MappingProxyType({source.name: source for source in (_CIFAR10, _CIFAR100, _SVHN, _MNIST, _BIKE, _WIKITEXT2)})
"""Every data set that comes as files, by name."""
