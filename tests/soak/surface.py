"""All families by name."""

from soak.families import LOADERS, POLICIES, SELECT
from soak.running import LOSSES, RECORDS, SCORERS, STATES

FAMILIES = {
    "policies": POLICIES,
    "loaders": LOADERS,
    "select": SELECT,
    "losses": LOSSES,
    "records": RECORDS,
    "scorers": SCORERS,
    **STATES,
}
