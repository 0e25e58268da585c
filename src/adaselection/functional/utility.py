"""What a method of a mixture is good for, told from recorded losses: rewards in the place of eq. 3's change."""

from __future__ import annotations

import torch

from adaselection._shapes import Float


def variance_utility(
    losses: Float[torch.Tensor, " b"], chances: Float[torch.Tensor, " b"], inclusions: Float[torch.Tensor, "m b"]
) -> Float[torch.Tensor, " m"]:
    """How much the variance of the unbiased gradient falls as a method gets more weight.

    ``u_m = sum_i l_i^2 pi_i^m / p_i^2``: minus the derivative, over ``w_m``, of ``sum_i l_i^2 / p_i`` with
    ``p = sum_m w_m pi^m``. The loss stands for the norm of the gradient; the largest counts 1, which changes no ratio.

    Args:
        losses: recorded losses of a window, shape ``[b]``.
        chances: inclusion probabilities p of the mixture, shape ``[b]``.
        inclusions: those of each method, shape ``[m, b]``.

    Returns:
        Shape ``[m]``; an instance that no method draws counts for none.

    Source: Borsos et al. 2019 (1903.12416), online variance reduction with mixtures.

    Differs from the paper in: it estimates from the rows drawn; the record has a loss for every row of the window.
    """
    limits = torch.finfo(losses.dtype)
    ratio = torch.where(chances > 0, losses / losses.abs().max().clamp_min(limits.tiny) / chances, 0.0)
    return (inclusions * ratio.clamp_max(limits.max**0.25).square()).sum(1)


def progress_utility(
    losses: Float[torch.Tensor, " b"], averages: Float[torch.Tensor, " b"], inclusions: Float[torch.Tensor, "m b"]
) -> Float[torch.Tensor, " m"]:
    """How far the losses of what a method would draw fell below their own averages lately, an instance drawn.

    On the recorded plane every instance drawn costs the same time, so this is progress per second too.

    Args:
        losses: recorded losses of a window, shape ``[b]``.
        averages: moving average of each instance's own losses, shape ``[b]``.
        inclusions: inclusion probabilities of each method, shape ``[m, b]``.

    Returns:
        Shape ``[m]``; 0 for a method that draws nothing. Negative where losses rose.

    Source: the prediction gain of Graves et al. 2017 (1704.03003).

    Differs from the paper in: theirs is the gain of one step on a task, ours the fall between visits of an instance.
    """
    drawn = inclusions.sum(1).clamp_min(torch.finfo(losses.dtype).tiny)
    return (inclusions * (averages - losses)).sum(1) / drawn


def relative_utility(utility: Float[torch.Tensor, " m"]) -> Float[torch.Tensor, " m"]:
    """Utilities as gains in ``[-1, 1]`` for the exponent of eq. 3: ``(u - mean u) / mean |u|``, clipped.

    Args:
        utility: shape ``[m]``, on any scale.

    Returns:
        Shape ``[m]``; 0 where all utilities are 0.
    """
    size = utility.abs().mean().clamp_min(torch.finfo(utility.dtype).tiny)
    return ((utility - utility.mean()) / size).clamp(-1.0, 1.0)
