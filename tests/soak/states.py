"""States compared bit for bit."""

from typing import Any

import torch


def differences(one: Any, two: Any, path: str = "") -> list[str]:
    """Where two states differ; measured seconds aside."""
    if path.endswith(".seconds"):
        return []
    if type(one) is not type(two):
        return [path]
    if isinstance(one, dict):
        if one.keys() != two.keys():
            return [path]
        return [found for key in one for found in differences(one[key], two[key], f"{path}.{key}")]
    if isinstance(one, (list, tuple)):
        if len(one) != len(two):
            return [path]
        return [
            found for i, pair in enumerate(zip(one, two, strict=True)) for found in differences(*pair, f"{path}[{i}]")
        ]
    if isinstance(one, torch.Tensor):
        return [] if bits(one) == bits(two) else [path]
    return [] if one == two or (one != one and two != two) else [path]


def bits(tensor: torch.Tensor) -> tuple[Any, ...]:
    """What a tensor is, down to its bits."""
    plain = tensor.detach().cpu().contiguous()
    return plain.dtype, tuple(plain.shape), tensor.device, plain.reshape(-1).view(torch.uint8).numpy().tobytes()
