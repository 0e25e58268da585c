"""The rows of the methods that were made for recorded losses; some have a reading for fresh ones too."""

from __future__ import annotations

import torch
from torch import Tensor

from adaselection import functional as F  # noqa: N812
from adaselection._shapes import Float
from adaselection.catalogue import GRAD_NORMS, column, gradient_norms, required, row
from adaselection.errors import ArgumentError
from adaselection.types import Method, Signals

_CALM = torch.int8
_PREVIOUS = torch.bfloat16


def recorded_only(name: str, instead: str) -> Method:
    """The fresh-plane function of a method that has none: an error that says what to do."""

    def score(signals: Signals) -> Float[Tensor, " b"]:
        raise ArgumentError(
            f"method {name!r} works on recorded losses only: it has no score for a batch of fresh ones. Wrap the "
            f"DataLoader in RecordedLoader, or take {instead!r} here."
        )

    return score


def _irreducible(signals: Signals) -> Tensor:
    fix = (
        "train a small model on other data and put its losses into the record's column: RecordedLosses(..., "
        "columns={'irreducible': torch.bfloat16}), then fill('irreducible', ids, losses)"
    )
    return required(signals.irreducible, "irreducible", fix).to(signals.losses.dtype)


def _from_record(value: Tensor | None, what: str) -> Tensor:
    return required(value, what, "read the signals from RecordedLosses")


def _calm_columns(signals: Signals, losses: Tensor) -> dict[str, Tensor]:
    """The columns of early_stopping after a visit of the rows, whose record was ``signals``."""
    calm, previous = _calm(signals), column(signals.columns, "previous", _PREVIOUS).to(losses.dtype)
    finite = losses[losses.isfinite()]
    scale = finite.abs().mean() if signals.scale is None else signals.scale
    last, visits = signals.losses.to(losses.dtype), _from_record(signals.visits, "visits")
    previous, calm = F.calm_update(losses, last, previous, calm, visits, scale)
    return {"previous": previous, "calm": calm}


def _calm(signals: Signals) -> Tensor:
    return column(signals.columns, "calm", _CALM)


RECORDED_ROWS = (
    row(
        "proportional",
        lambda s: s.losses,
        "losses",
        "after Loshchilov & Hutter 2015 (1511.06343); Schaul et al. 2016 (1511.05952)",
        "drawn in proportion to the loss: hard rows more often, easy ones now and then",
        inclusion=lambda s, k: F.proportional(s.losses, k, s.valid),
        from_zero=True,
    ),
    row(
        "rank_based",
        lambda s: F.log_rank_weight(s.losses, s.valid),
        "losses",
        "Loshchilov & Hutter 2015 (1511.06343)",
        "drawn by the rank of the loss, falling exponentially: the same for any scale of the loss",
        inclusion=lambda s, k: F.rank_based(s.losses, k, s.valid),
    ),
    row(
        "selective_backprop",
        lambda s: F.loss_percentile(s.losses, s.valid),
        "losses",
        "Jiang et al. 2019 (1910.00762)",
        "each row by itself with probability CDF(loss)^beta, so the count is left to chance",
        inclusion=lambda s, k: F.selective_backprop(s.losses, k, s.valid),
        own_count=True,
    ),
    row(
        "min_k_loss",
        recorded_only("min_k_loss", "small_loss"),
        "losses",
        "Shah et al. 2020 (2001.03316)",
        "the lowest loss of each random group: avoids outliers, and still varies",
        inclusion=lambda s, k: F.min_k_loss(s.losses, k, s.valid),
        plane="recorded",
    ),
    row(
        "katharopoulos_fleuret",
        gradient_norms,
        "losses grad_norms",
        "Katharopoulos & Fleuret 2018 (1803.00942)",
        "in proportion to the gradient norm with unbiased weights, once the variance saved pays for it",
        inclusion=lambda s, k: F.katharopoulos_fleuret(gradient_norms(s), k, s.valid),
        columns=GRAD_NORMS,
        weights=lambda s, p: F.unbiased_weights(p),
    ),
    row(
        "infobatch",
        recorded_only("infobatch", "proportional"),
        "losses",
        "Qin et al. 2024 (2303.04947)",
        "drops a share of the losses below the mean at random and counts the rest of them more",
        inclusion=lambda s, k: F.infobatch(s.losses, k, s.valid),
        own_count=True,
        plane="recorded",
        weights=lambda s, p: F.infobatch_weights(p),
    ),
    row(
        "kakurenbo",
        recorded_only("kakurenbo", "big_loss"),
        "losses",
        "Nguyen et al. 2023 (2310.10102)",
        "hides the lowest losses, but for those that the model is not confident of",
        inclusion=lambda s, k: F.kakurenbo(s.losses, k, s.valid),
        from_zero=True,
        own_count=True,
        plane="recorded",
    ),
    row(
        "early_stopping",
        recorded_only("early_stopping", "proportional"),
        "losses visits",
        "Yuan et al. 2025 (2502.07547)",
        "leaves an instance out once its loss has gone straight on for three visits",
        inclusion=lambda s, k: F.early_stopping(s.losses, _calm(s), s.valid),
        own_count=True,
        columns=(("previous", _PREVIOUS), ("calm", _CALM)),
        plane="recorded",
        update=_calm_columns,
    ),
    row(
        "upper_confidence",
        recorded_only("upper_confidence", "proportional"),
        "losses visits ages",
        "Raju et al. 2021 (2111.12621)",
        "in proportion to the loss, and more for what was seen rarely or long ago",
        inclusion=lambda s, k: F.upper_confidence(
            s.losses, _from_record(s.visits, "visits"), _from_record(s.ages, "ages"), k, s.valid
        ),
        from_zero=True,
        plane="recorded",
    ),
    row(
        "learning_progress",
        recorded_only("learning_progress", "uncertain"),
        "losses averages",
        "ours, after Graves et al. 2017 (1704.03003)",
        "in proportion to how much an instance's own loss fell lately, with a share of uniform",
        inclusion=lambda s, k: F.learning_progress(s.losses, _from_record(s.averages, "averages"), k, s.valid),
        plane="recorded",
    ),
    row(
        "rho_loss",
        lambda s: s.losses - _irreducible(s),
        "losses irreducible",
        "Mindermann et al. 2022 (2206.07137)",
        "the largest losses above what a model of other data cannot learn either",
        inclusion=lambda s, k: F.rho_loss(s.losses, _irreducible(s), k, s.valid),
        columns=(("irreducible", torch.bfloat16),),
    ),
    row(
        "uncertain",
        lambda s: F.uncertainty(s.losses),
        "losses",
        "Chang et al. 2017 (1704.07433)",
        "in proportion to P(1 - P), P = exp(-loss): neither the known nor the hopeless; for cross-entropy",
        inclusion=lambda s, k: F.uncertain(s.losses, k, s.valid),
        from_zero=True,
    ),
    row(
        "capped",
        lambda s: F.capped_losses(s.losses, s.valid),
        "losses",
        "ours",
        "in proportion to the loss, with the largest quarter held down, as it may be wrong labels",
        inclusion=lambda s, k: F.capped(s.losses, k, s.valid),
        from_zero=True,
    ),
    row(
        "trusted",
        recorded_only("trusted", "capped"),
        "losses averages",
        "ours, after Arazo et al. 2019 (1904.11238) and Otsu 1979",
        "all but the upper of two groups of average losses: wrong labels and outliers, where there are any",
        inclusion=lambda s, k: F.trusted(_from_record(s.averages, "averages"), valid=s.valid),
        own_count=True,
        plane="recorded",
    ),
)
