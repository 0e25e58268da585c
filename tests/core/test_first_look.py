"""What the loaders say of themselves, and of what cannot work, to somebody who sees them for the first time."""

import pytest
import torch
from torch.utils.data import BatchSampler, DataLoader, SequentialSampler, SubsetRandomSampler

from adaselection import AdaSelection, RecordedLoader, SelectiveLoader, SingleMethod
from adaselection.errors import EmptyLoaderError, StateError
from core.parts import data, net, selective
from core.recorded_parts import passes, recorded


def test_loaders_tell_their_policy_and_batch_size() -> None:
    assert repr(recorded(24, 4)) == "RecordedLoader(AdaSelection(rate=0.3), batch_size=4)"
    told = "SelectiveLoader(SingleMethod(method='uniform', rate=0.5), batch_size=8, update='accumulate')"
    assert repr(selective(32, 8, SingleMethod("uniform", 0.5))) == told


def test_the_state_of_the_other_loader_is_named() -> None:
    kept, fresh = recorded(40, 4, AdaSelection(rate=0.5)), selective(40, 4, AdaSelection(rate=0.5))
    with pytest.raises(StateError, match="state of a SelectiveLoader, and this loader is a RecordedLoader"):
        kept.load_state_dict(fresh.state_dict())
    with pytest.raises(StateError, match="state of a RecordedLoader, and this loader is a SelectiveLoader"):
        fresh.load_state_dict(kept.state_dict())


@pytest.mark.parametrize(
    ("options", "rows"),
    [
        ({"batch_size": 32, "drop_last": True}, 20),
        ({"batch_size": 32, "drop_last": True, "sampler": SubsetRandomSampler(range(8))}, 8),
        ({"batch_sampler": BatchSampler(SequentialSampler(range(20)), 32, drop_last=True)}, 20),
    ],
)
def test_a_data_set_below_one_batch_to_drop_is_named(options: dict[str, object], rows: int) -> None:
    why = rf"drop_last=True with batch_size=32 leaves no batch of {rows} instances.*drop_last=False.*at most {rows}\."
    with pytest.raises(EmptyLoaderError, match=why):
        RecordedLoader(DataLoader(data(20), **options), AdaSelection(rate=0.3))


def test_a_report_has_no_line_of_gains_before_the_gate_opened() -> None:
    loader = recorded(24, 4, AdaSelection(rate=0.5))
    assert "gain" not in str(loader.report())
    passes(loader, 2)
    assert "gain" not in str(loader.report())
    assert torch.isfinite(loader.records.read(torch.arange(24), now=2).losses).all()


def test_rounding_of_the_short_last_batch_is_no_news() -> None:
    for declared in (None, [20, 20, 4]):
        loader = selective(44, 20, SingleMethod("uniform", 0.3), surplus="carry", incoming_sizes=declared)
        assert not list(loader)  # 6 + 6 + 1 rows of 20; warnings are errors
    batches = list(DataLoader(data(44), batch_size=20))
    assert not list(SelectiveLoader(iter(batches), SingleMethod("uniform", 0.3), model=net()))
    small = selective(44, 4, AdaSelection(rate=0.3), batch_size=20, surplus="carry")
    with pytest.warns(UserWarning, match=r"a batch of 4 rows at rate 0\.3 keeps 1") as said:
        assert not list(small)
    assert [warning.filename for warning in said] == [__file__]
    alone = AdaSelection(rate=0.3)
    with pytest.warns(UserWarning, match="a batch of 4 rows") as said:
        alone.select(torch.rand(4))
    assert [warning.filename for warning in said] == [__file__]
