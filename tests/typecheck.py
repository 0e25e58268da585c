"""The type checker that jaxtyping puts around every function of ``src`` as the tests run (see pyproject.toml)."""

from beartype import BeartypeConf, beartype

# As for type checkers, an int will do where a float is asked for: `rate=1` is right.
check = beartype(conf=BeartypeConf(is_pep484_tower=True))
