"""Where users already train: one module for each framework, imported only when asked for."""
