"""``python -m adaselection`` is the command ``adaselection``."""

import sys

from adaselection._entry import main

if __name__ == "__main__":
    sys.exit(main())
