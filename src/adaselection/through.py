"""Passes that keep every row, at the least cost for each batch."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator

from adaselection import tree
from adaselection.errors import AdaSelectionError
from adaselection.meter import Meter
from adaselection.place import NEWER, Place
from adaselection.tree import Batch


def handed_through(incoming: Iterable[Batch], place: Place, meter: Meter) -> Iterator[Batch]:
    """The incoming batches of a pass that keeps every row, unscored and untouched.

    Args:
        incoming: what is left of the pass.
        place: where it is; counted on.
        meter: charged with loading, and with the time until the next batch is asked for as training.

    Raises:
        AdaSelectionError: a newer pass has begun.
    """
    serial, clock = place.serial, time.perf_counter
    asked = clock()
    for batch in incoming:
        place.position += 1
        place.yielded += 1
        meter.handed_out(tree.length(batch))
        given = clock()
        meter.charge("load", given - asked)
        yield batch
        asked = clock()
        meter.charge("train", asked - given)
        if serial != place.serial:
            raise AdaSelectionError(NEWER)
    meter.charge("load", clock() - asked)
    place.exhausted = True
