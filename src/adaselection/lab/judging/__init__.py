"""The tables by which the recorded plane is judged, from run records to Markdown pages.

`pages` gives every page by name: whether the default ever loses, how fast it reaches full training, what each rung of
the ladder of policies is worth, and what its gate expected and got. `tools/results.py` writes them.
"""

from __future__ import annotations

from adaselection.lab.judging.brief import short
from adaselection.lab.judging.glance import at_a_glance
from adaselection.lab.judging.paging import pages

__all__ = ["at_a_glance", "pages", "short"]
