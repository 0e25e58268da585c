"""The rows of the table on both planes: rules, what they need, what they say when it is missing, own methods."""

from dataclasses import replace

import pytest
import torch

from adaselection import AdaSelection, Signals, SingleMethod, method_info, methods, register_method, registry
from adaselection import functional as F  # noqa: N812
from adaselection.errors import ArgumentError
from adaselection.records import RecordedLosses

SIZE, K = 12, 4
PAPER = ("uniform", "big_loss", "small_loss", "grad_norm", "adaboost", "coreset_extremes", "coreset_mean")
OWN_COUNT = {"selective_backprop", "infobatch", "kakurenbo", "early_stopping", "trusted"}


def window(**changes: object) -> Signals:
    """A window of which the record knows all but two instances."""
    generator = torch.Generator().manual_seed(0)

    def drawn() -> torch.Tensor:
        return torch.rand(SIZE, generator=generator, dtype=torch.float64) * 3

    valid = torch.ones(SIZE, dtype=torch.bool)
    valid[[2, 7]] = False
    signals = Signals(
        losses=torch.where(valid, drawn(), 0),
        valid=valid,
        noise=drawn() / 3,
        averages=drawn(),
        ages=drawn().round(),
        visits=drawn().long() + 1,
        irreducible=drawn(),
        grad_norms=drawn(),
        columns={
            "previous": drawn().to(torch.bfloat16),
            "calm": torch.arange(SIZE).to(torch.int8),
        },
    )
    return replace(signals, **changes)


@pytest.mark.parametrize("name", methods("recorded"))
def test_every_rule_gives_chances_over_a_window(name: str) -> None:
    info, signals = method_info(name), window()
    chances = registry.checked_inclusion(info, signals, K)
    assert chances.dtype == torch.float64
    assert bool(((chances >= 0) & (chances <= 1)).all())
    assert chances[[2, 7]].tolist() == [0, 0]
    assert info.own_count == (name in OWN_COUNT)
    if not info.own_count:
        assert chances.sum().item() == pytest.approx(K)
    assert F.scaled(chances, K, signals.valid).sum().item() == pytest.approx(K)
    if info.weights is not None:
        weights = info.weights(signals, chances)
        assert weights.shape == chances.shape
        assert bool((weights[chances > 0] > 0).all())


@pytest.mark.parametrize("name", PAPER[1:])
def test_the_papers_rules_are_the_indicator_of_their_top_k(name: str) -> None:
    signals = window()
    raw = method_info(name).function(signals)
    assert registry.checked_inclusion(method_info(name), signals, K).nonzero().flatten().tolist() == (
        F.top_k(raw, K, signals.valid).tolist()
    )


def test_uniform_is_constant_and_a_replaced_function_is_followed() -> None:
    assert registry.checked_inclusion(method_info("uniform"), window(), K)[0].item() == pytest.approx(K / 10)
    turned = replace(method_info("adaboost"), function=lambda s: -s.losses)
    low = registry.checked_inclusion(method_info("small_loss"), window(), K)
    assert torch.equal(registry.checked_inclusion(turned, window(), K), low)


def test_which_methods_are_listed_where() -> None:
    assert methods() == PAPER
    assert set(methods("fresh")) < set(methods("recorded"))
    only = {"min_k_loss", "infobatch", "kakurenbo", "early_stopping", "trusted", "upper_confidence"}
    only |= {"learning_progress"}
    assert set(methods("recorded")) - set(methods("fresh")) == only
    with pytest.raises(ArgumentError, match="plane='stale' is unknown"):
        methods.__wrapped__("stale") if hasattr(methods, "__wrapped__") else methods("stale")


@pytest.mark.parametrize("name", sorted(set(methods("fresh")) - {"rho_loss"}))
def test_what_lists_as_fresh_chooses_from_a_batch(name: str) -> None:
    signals = Signals(torch.tensor([0.1, 2.0, 0.7, 1.0]), grad_norms=torch.tensor([0.3, 0.1, 0.9, 0.2]))
    assert len(SingleMethod(name, 0.5).select(signals).indices) == 2
    assert len(AdaSelection(tuple({name, "uniform"}), 0.5).select(signals).indices) == 2


def test_the_fresh_readings() -> None:
    losses = torch.tensor([0.1, 8.0, 0.7, 1.0])
    for name, kept in {
        "proportional": [1, 3],
        "rank_based": [1, 3],
        "selective_backprop": [1, 3],
        "uncertain": [2, 3],
        "capped": [2, 3],
    }.items():
        known = torch.ones(4, dtype=torch.bool)
        assert F.top_k(method_info(name).function(Signals(losses, valid=known)), 2).tolist() == kept
    excess = method_info("rho_loss").function(Signals(losses, irreducible=torch.tensor([0.0, 8.0, 0.0, 1.0])))
    assert F.top_k(excess, 2).tolist() == [0, 2]


@pytest.mark.parametrize("name", sorted(set(methods("recorded")) - set(methods("fresh"))))
def test_a_recorded_rule_says_so_on_the_fresh_plane(name: str) -> None:
    with pytest.raises(ArgumentError, match=rf"{name!r} works on recorded losses only.*RecordedLoader, or take '\w+'"):
        SingleMethod(name, 0.5).select(torch.rand(4))


@pytest.mark.parametrize(
    ("name", "missing", "words"),
    [
        (
            "rho_loss",
            {"irreducible": None},
            r"needs irreducible.*train a small model.*'irreducible': torch",
        ),
        ("grad_norm", {"grad_norms": None}, r"needs grad_norms.*columns=\{'grad_norms': torch.bfloat16\}"),
        ("katharopoulos_fleuret", {"grad_norms": None}, "needs grad_norms"),
        ("early_stopping", {"columns": {}}, r"column 'calm'.*columns=\{'calm': torch.int8\}"),
        ("upper_confidence", {"visits": None}, "needs visits.*RecordedLosses"),
        ("upper_confidence", {"ages": None}, "needs ages"),
        ("learning_progress", {"averages": None}, "needs averages"),
    ],
)
def test_what_is_missing_is_named_with_the_fix(name: str, missing: dict[str, object], words: str) -> None:
    with pytest.raises(ArgumentError, match=words):
        registry.checked_inclusion(method_info(name), window(**missing), K)


def test_columns_of_the_record() -> None:
    assert method_info("proportional").bytes_per_instance == 8
    assert method_info("katharopoulos_fleuret").columns == (("grad_norms", torch.bfloat16),)
    assert method_info("early_stopping").bytes_per_instance == 11
    with_column = {name for name in methods("recorded") if method_info(name).columns}
    assert with_column == {"grad_norm", "katharopoulos_fleuret", "early_stopping", "rho_loss"}


def test_early_stopping_lives_in_a_record() -> None:
    info = method_info("early_stopping")
    record = RecordedLosses(3, columns=dict(info.columns))
    ids = torch.arange(3)
    walks = [[1.0, 1.0, 1.0], [0.75, 0.5, 2.0], [0.5, 0.5, 0.0], [0.25, 0.5, 2.0], [0.0, 0.5, 0.0]]
    for now, losses in enumerate(walks, 1):
        before = record.read(ids, now=now)
        assert info.inclusion is not None
        assert info.update is not None
        assert info.inclusion(before, 1).tolist() == [float(now > 1)] * 3
        losses = torch.tensor(losses)
        record.update(ids, losses, now=now, **info.update(before, losses))
    # straight down; flat after a bend at the second visit, so one check short; to and fro
    assert info.inclusion(record.read(ids, now=6), 1).tolist() == [0, 1, 1]


def test_own_methods_keep_their_top_k_or_bring_a_rule() -> None:
    row = registry.resolve(("mine", lambda signals: -signals.losses))
    low = registry.checked_inclusion(method_info("small_loss"), window(), K)
    assert torch.equal(registry.checked_inclusion(row, window(), K), low)

    def even(signals: Signals, k: int) -> torch.Tensor:
        return F.uniform_inclusion(signals.losses, k, signals.valid)

    register_method("even", lambda signals: signals.losses, inclusion=even)
    try:
        assert "even" in methods()
        assert "even" in methods("recorded")
        assert registry.checked_inclusion(method_info("even"), window(), K)[0].item() == pytest.approx(K / 10)
        bad = replace(method_info("even"), inclusion=lambda signals, k: signals.losses[:2])
        with pytest.raises(ArgumentError, match=r"inclusion of method 'even'.*\(12,\); got \(2,\)"):
            registry.checked_inclusion(bad, window(), K)
    finally:
        del registry._METHODS["even"]


def test_further_signals_come_from_the_record() -> None:
    ids, later = torch.arange(4), torch.arange(3)
    for name, column, kept in (("rho_loss", "irreducible", [2]), ("grad_norm", "grad_norms", [0])):
        info = method_info(name)
        record = RecordedLosses(4, columns=dict(info.columns))
        record.update(later, torch.tensor([3.0, 1.0, 2.5]), now=1)
        record.fill(column, ids, torch.tensor([2.5, 0.5, 0.25, 9.0]))  # the last one has no loss yet
        chances = registry.checked_inclusion(info, record.read(ids, now=2), 1)
        assert chances.nonzero().flatten().tolist() == kept
