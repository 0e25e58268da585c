"""Training rows as small PNG pictures inside a page, without any library."""

from __future__ import annotations

import base64
import struct
import zlib

import torch
from torch import Tensor

__all__ = ["picture_of", "png"]

_FLAT = {"digits": (1, 8, 8)}  # tasks whose rows are pictures laid flat, with their shape


def picture_of(task: str, row: Tensor) -> str | None:
    """The picture of one input as a `data:` address, or None where the task has no pictures.

    Args:
        task: Name of the task.
        row: Its stored input: uint8 ``[c, h, w]`` of 1 or 3 channels, or floats, which are stretched to 0 to 255.
    """
    row = row.detach().cpu()
    if task in _FLAT and row.numel() == torch.Size(_FLAT[task]).numel():
        row = row.reshape(_FLAT[task])
    if row.dim() != 3 or row.shape[0] not in (1, 3) or 0 in row.shape:
        return None
    if row.dtype != torch.uint8:
        low, high = row.min(), row.max()
        row = ((row - low) / (high - low).clamp_min(1e-12) * 255).round().to(torch.uint8)
    return "data:image/png;base64," + base64.b64encode(png(row)).decode("ascii")


def png(image: Tensor) -> bytes:
    """Encode a picture: uint8 ``[c, h, w]`` with 1 channel (grey) or 3 (red, green, blue)."""
    channels, height, width = image.shape
    lines = image.permute(1, 2, 0).reshape(height, width * channels)
    raw = b"".join(b"\0" + bytes(line) for line in lines.tolist())  # no filter
    header = struct.pack(">IIBBBBB", width, height, 8, 0 if channels == 1 else 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(raw, 9)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(name, data) for name, data in chunks)


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
