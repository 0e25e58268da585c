"""The equations as pure functions, tensor in and tensor out: one function per equation."""

from adaselection.functional.draws import inclusion_probabilities, sample_weights, systematic_draw
from adaselection.functional.gradients import cross_entropy_grad_norm, squared_error_grad_norm
from adaselection.functional.methods import (
    ADABOOST_READINGS,
    AdaBoostReading,
    adaboost,
    big_loss,
    coreset_extremes,
    coreset_mean,
    grad_norm,
    small_loss,
    uniform,
)
from adaselection.functional.reward import printed_reward, scale_free_reward, text_reward
from adaselection.functional.scaling import masked_median, robust_z
from adaselection.functional.selection import (
    IMPORTANCES,
    Importance,
    combine,
    importance,
    kept_per_batch,
    quota_select,
    quota_slots,
    rank_rows,
    top_k,
)
from adaselection.functional.weighting import (
    LOSS_AVERAGES,
    LossAverage,
    bounded_change,
    fixed_share,
    method_losses,
    relative_change,
    smooth,
    update_log_weights,
)

__all__ = [
    "ADABOOST_READINGS",
    "IMPORTANCES",
    "LOSS_AVERAGES",
    "AdaBoostReading",
    "Importance",
    "LossAverage",
    "adaboost",
    "big_loss",
    "bounded_change",
    "combine",
    "coreset_extremes",
    "coreset_mean",
    "cross_entropy_grad_norm",
    "fixed_share",
    "grad_norm",
    "importance",
    "inclusion_probabilities",
    "kept_per_batch",
    "masked_median",
    "method_losses",
    "printed_reward",
    "quota_select",
    "quota_slots",
    "rank_rows",
    "relative_change",
    "robust_z",
    "sample_weights",
    "scale_free_reward",
    "small_loss",
    "smooth",
    "squared_error_grad_norm",
    "systematic_draw",
    "text_reward",
    "top_k",
    "uniform",
    "update_log_weights",
]
