"""A method of your own in the mixture: rows near the middle of the losses, on digits with 30 % wrong labels.

Run it with ``python examples/own_method.py``. It needs scikit-learn for the pictures, and takes some seconds.
"""

from __future__ import annotations

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from adaselection import AdaSelection, SelectiveLoader, Signals, register_method

WRONG = 0.3


def near_median(signals: Signals) -> Tensor:
    """Highest for losses in the middle: neither what is learnt already nor what may be mislabelled."""
    return -(signals.losses - signals.losses.median()).abs()


def digits() -> tuple[TensorDataset, Tensor]:
    """Training pictures with their numbers, a share of them with a wrong label, and which are wrong."""
    bunch = load_digits()
    x, y = torch.tensor(bunch.data / 8 - 1, dtype=torch.float32), torch.tensor(bunch.target)
    chance = torch.Generator().manual_seed(0)
    wrong = torch.rand(len(y), generator=chance) < WRONG
    other = (y + torch.randint(1, 10, (len(y),), generator=chance)) % 10
    return TensorDataset(x, torch.where(wrong, other, y), torch.arange(len(y))), wrong


def wrong_share(methods: tuple[str, ...], passes: int = 8) -> tuple[float, dict[str, float]]:
    """Share of wrong labels among the rows trained on in the last pass, and the weights of the methods then."""
    data, wrong = digits()
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 10))
    loss_fn = nn.CrossEntropyLoss(reduction="none")
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    loader = SelectiveLoader(
        DataLoader(data, batch_size=64, shuffle=True, drop_last=True),
        AdaSelection(methods, rate=0.5, choice="quota"),
        model=model,
        score=lambda net, batch: loss_fn(net(batch[0]), batch[1]),
    )
    seen: list[int] = []
    for _ in range(passes):
        seen = []
        for x, y, numbers in loader:
            loss = loss_fn(model(x), y).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            seen += numbers.tolist()
    return float(wrong[seen].float().mean()), loader.policy.weights


def main() -> None:
    """Train with and without the method, and print what each trained on."""
    register_method("near_median", near_median)  # from here on a name like those built in
    for methods in (("big_loss", "uniform"), ("near_median", "uniform")):
        share, weights = wrong_share(methods)
        shown = ", ".join(f"{name} {weight:.2f}" for name, weight in weights.items())
        print(f"{100 * share:.0f} % wrong labels among the rows trained on ({shown})")


if __name__ == "__main__":
    main()
