"""What to do where losses are not one for each row."""

from __future__ import annotations

_UNREDUCED = 'Use a loss with reduction="none", and call it once for each batch.'
_ONE = "Use losses.squeeze(1)."
_PAIRS = (
    "Where outputs and targets are [b, 1] and [b], every output was compared with every target: squeeze(1) the one "
    "that is [b, 1]. If a row has {rows} losses of its own, use losses.mean(1)."
)
_MANY = "If a row has several losses of its own, use losses.flatten(1).mean(1)."

_LONG = (
    "If a row has {times} losses of its own, one after another, use losses.view({rows}, -1).mean(1). Of several "
    "batches, hand them in batch by batch."
)
_DROPPED = (
    'A loss with reduction="none" gives one for each row that it gets, so the loop or the collate function dropped '
    "{missing} of the {rows} rows, and which is not known. Leave such rows out of the data set, for example by "
    "torch.utils.data.Subset, or compute the losses of all rows."
)
_SKIP = (
    " For a batch where neither is possible call loader.skip() in the place of record(), and take the mean yourself."
)


def one_each(got: tuple[int, ...] | str, rows: int | None, skips: bool = False) -> str:
    """How to come to one loss for each row.

    Args:
        got: shape of the losses, or what they are in their place.
        rows: of the batch, if that is known.
        skips: whether the loader can leave a batch out.
    """
    if not isinstance(got, str) and len(got) == 1 and rows and got[0] != rows and got[0] > 1:
        if got[0] < rows:
            return _DROPPED.format(missing=rows - got[0], rows=rows) + (_SKIP if skips else "")
        return _LONG.format(times=got[0] // rows, rows=rows) if got[0] % rows == 0 else _UNREDUCED
    if isinstance(got, str) or len(got) < 2 or rows not in (None, got[0]):
        return _UNREDUCED
    if got[1:] == (1,):
        return _ONE
    return _PAIRS.format(rows=got[1]) if got == (got[0], got[0]) else _MANY
