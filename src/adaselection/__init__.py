"""Train on the samples that are worth a gradient.

`SelectiveLoader` wraps a loader and hands out full batches of selected samples; `AdaSelection` decides which;
`functional` holds the equations.
"""

from adaselection import diagnosis, errors, functional
from adaselection.base import Policy
from adaselection.batchnorm import recalibrate_batchnorm
from adaselection.cheap import CheapScores
from adaselection.errors import AdaSelectionError
from adaselection.loaders import SelectiveLoader
from adaselection.meter import Meter, Report
from adaselection.policy import AdaSelection
from adaselection.recorded import RecordedLoader
from adaselection.recorded_report import RecordedReport
from adaselection.records import RecordedLosses
from adaselection.registry import MethodInfo, method_info, methods, register_method
from adaselection.scoring import ModelScorer
from adaselection.shrinking import short_sequences
from adaselection.single import SingleMethod
from adaselection.types import Selection, Signals

__version__ = "0.1.0"
__all__ = [
    "AdaSelection",
    "AdaSelectionError",
    "CheapScores",
    "Meter",
    "MethodInfo",
    "ModelScorer",
    "Policy",
    "RecordedLoader",
    "RecordedLosses",
    "RecordedReport",
    "Report",
    "Selection",
    "SelectiveLoader",
    "Signals",
    "SingleMethod",
    "__version__",
    "diagnosis",
    "errors",
    "functional",
    "method_info",
    "methods",
    "recalibrate_batchnorm",
    "register_method",
    "short_sequences",
]
