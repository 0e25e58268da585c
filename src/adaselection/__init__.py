"""Train on the samples that are worth a gradient.

`SelectiveLoader` wraps a loader and hands out full batches of selected samples; `AdaSelection` decides which;
`functional` holds the equations.
"""

from adaselection import errors, functional
from adaselection.base import Policy
from adaselection.errors import AdaSelectionError
from adaselection.loaders import SelectiveLoader
from adaselection.meter import Meter, Report
from adaselection.policy import AdaSelection, SingleMethod
from adaselection.registry import MethodInfo, method_info, methods, register_method
from adaselection.scoring import ModelScorer
from adaselection.types import Selection, Signals

__version__ = "0.1.0"
__all__ = [
    "AdaSelection",
    "AdaSelectionError",
    "Meter",
    "MethodInfo",
    "ModelScorer",
    "Policy",
    "Report",
    "Selection",
    "SelectiveLoader",
    "Signals",
    "SingleMethod",
    "__version__",
    "errors",
    "functional",
    "method_info",
    "methods",
    "register_method",
]
