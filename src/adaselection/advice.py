"""What to do where losses are not one for each row."""

from __future__ import annotations

_UNREDUCED = 'Use a loss with reduction="none", and call it once for each batch.'
_ONE = "Use losses.squeeze(1)."
_PAIRS = (
    "Where outputs and targets are [b, 1] and [b], every output was compared with every target: squeeze(1) the one "
    "that is [b, 1]. If a row has {rows} losses of its own, use losses.mean(1)."
)
_MANY = "If a row has several losses of its own, use losses.flatten(1).mean(1)."


def one_each(got: tuple[int, ...] | str, rows: int | None) -> str:
    """How to come to one loss for each row.

    Args:
        got: shape of the losses, or what they are in their place.
        rows: of the batch, if that is known.
    """
    if isinstance(got, str) or len(got) < 2 or rows not in (None, got[0]):
        return _UNREDUCED
    if got[1:] == (1,):
        return _ONE
    return _PAIRS.format(rows=got[1]) if got == (got[0], got[0]) else _MANY
