"""On an NVIDIA GPU: what is chosen is what the CPU chooses, and choosing does not wait for the device."""

import copy
import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch import distributed as dist
from torch.utils.data import DataLoader

from adaselection import (
    AdaSelection,
    CheapScores,
    RecordedLoader,
    RecordedLosses,
    SelectiveLoader,
    Signals,
    SingleMethod,
    methods,
)
from adaselection.errors import NonFiniteLossError
from core.parts import CE, data
from core.test_compatibility import Net, pictures

pytestmark = [
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU"),
    pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning"),  # torch's own, at its first compilation
]

GPU = "cuda"
ROWS, BATCH = 96, 16


@contextmanager
def no_waiting() -> Iterator[None]:
    """Raises where the host would wait for the GPU."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that this is a prototype
        try:
            torch.cuda.set_sync_debug_mode("error")
            yield
        finally:
            torch.cuda.set_sync_debug_mode("default")


def net() -> nn.Module:
    """Takes the rows of `data`; the first number, the row's own, is made small."""
    torch.manual_seed(2)
    return nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.2), nn.Linear(8, 3)).to(GPU)


def small(x: Tensor) -> Tensor:
    """The rows with their numbers, which are up to 95, brought to the size of the others."""
    return torch.cat((x[:, :1] / 50, x[:, 1:]), 1)


def score(model: nn.Module, batch: Any) -> Tensor:
    """Losses of a batch, on the device where the loader has put it."""
    assert batch[0].device.type == GPU
    losses: Tensor = CE(model(small(batch[0])), batch[1])
    return losses


class Loop:
    """Trains on the GPU and notes instances and losses."""

    def __init__(self, loader: Any, model: nn.Module) -> None:
        self.loader, self.model = loader, model
        self.optimizer = torch.optim.SGD(model.parameters(), 0.1, momentum=0.9)
        self.rows: list[Tensor] = []
        self.losses: list[Tensor] = []

    def step(self, batch: Any) -> None:
        """One step; the rows come from either loader on its own device."""
        x, y = (part.to(GPU, non_blocking=True) for part in batch)
        losses = CE(self.model(small(x)), y)
        loss = self.loader.record(losses) if isinstance(self.loader, RecordedLoader) else losses.mean()
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()
        self.rows.append(x[:, 0])
        self.losses.append(loss.detach())

    def run(self, steps: int, save_at: int = -1) -> "Loop":
        """Train until so many steps are done in all, with a checkpoint after one of them."""
        while True:
            for batch in self.loader:
                self.step(batch)
                if len(self.losses) == save_at:
                    self.saved = self.state()
                if len(self.losses) == steps:
                    return self

    def seen(self, start: int = 0) -> list[tuple[list[float], float]]:
        """Rows and loss of each step."""
        return [(rows.tolist(), loss.item()) for rows, loss in zip(self.rows[start:], self.losses[start:], strict=True)]

    def state(self) -> dict[str, Any]:
        """Everything that a checkpoint holds, through a file that may hold no code."""
        parts = {name: part.state_dict() for name, part in self.parts().items()}
        file = io.BytesIO()
        torch.save(parts | {"cpu": torch.get_rng_state(), "gpu": torch.cuda.get_rng_state()}, file)
        file.seek(0)
        loaded: dict[str, Any] = torch.load(file, weights_only=True, map_location="cpu")
        return loaded

    def load(self, state: dict[str, Any]) -> "Loop":
        """Go on from a checkpoint."""
        for name, part in self.parts().items():
            part.load_state_dict(state[name])
        torch.set_rng_state(state["cpu"])
        torch.cuda.set_rng_state(state["gpu"])
        return self

    def parts(self) -> dict[str, Any]:
        """What has a state."""
        return {"loader": self.loader, "model": self.model, "optimizer": self.optimizer}


def inner(**options: Any) -> DataLoader[Any]:
    """The loader inside, over rows in pinned memory."""
    chance = torch.Generator().manual_seed(7)
    return DataLoader(data(ROWS), BATCH, shuffle=True, generator=chance, pin_memory=True, **options)


def fresh(model: nn.Module, policy: Any = None, **options: Any) -> SelectiveLoader:
    """A loader that scores on the GPU."""
    return SelectiveLoader(inner(), policy or AdaSelection(rate=0.4, seed=5), model=model, score=score, **options)


def recorded(policy: Any = None, **options: Any) -> RecordedLoader:
    """A loader that chooses by recorded losses."""
    policy = policy or SingleMethod("proportional", 0.4, seed=5)
    return RecordedLoader(inner(**options.pop("inner", {})), policy, **options)


@pytest.mark.parametrize("name", [name for name in methods("fresh") if name not in ("uniform", "rho_loss")])
def test_a_method_ranks_rows_as_on_the_cpu(name: str) -> None:
    losses = torch.randn(64, generator=torch.Generator().manual_seed(1)).exp()
    signals = Signals(losses, losses.flip(0), "cross_entropy")
    there = Signals(losses.to(GPU), losses.flip(0).to(GPU), "cross_entropy")
    chosen = [
        AdaSelection(methods=(name,), rate=0.25, choice="top_k").select(found).indices.cpu().sort().values
        for found in (signals, there)
    ]
    assert len(chosen[0]) == 16
    assert torch.equal(*chosen)


def test_a_mixture_moves_its_weights_as_on_the_cpu() -> None:
    policies = [AdaSelection(methods=("big_loss", "small_loss"), rate=0.25, choice="top_k") for _ in range(2)]
    chance = torch.Generator().manual_seed(1)
    for _ in range(10):
        losses = torch.randn(64, generator=chance).exp()
        one, two = (policy.select(losses.to(where)) for policy, where in zip(policies, ("cpu", GPU), strict=True))
        assert set(one.indices.tolist()) == set(two.indices.tolist())
    assert policies[0].weights["big_loss"] != 0.5
    assert policies[1].weights == pytest.approx(policies[0].weights, rel=1e-9)


def test_a_choice_does_not_wait_for_the_device() -> None:
    policy = AdaSelection(rate=0.3)
    losses = torch.rand(256, device=GPU)
    policy.select(losses)  # state moves there
    with no_waiting():
        chosen = [policy.select(losses).indices for _ in range(3)]
    assert [len(set(rows.tolist())) for rows in chosen] == [77] * 3  # 0.3 of 256 rows, each once


def test_scoring_and_training_do_not_wait_for_the_device() -> None:
    model = net()
    loop = Loop(fresh(model, surplus="carry"), model).run(3)
    batches = iter(loop.loader)
    next(batches)
    with no_waiting():
        loop.step(next(batches))
    assert loop.rows[-1].device.type == GPU
    assert len(set(loop.rows[-1].tolist())) == BATCH


def test_recording_does_not_wait_for_the_device() -> None:
    loop = Loop(recorded(), net()).run(8)  # the first walk, and more
    batches = iter(loop.loader)
    loop.step(next(batches))
    with no_waiting():
        loop.step(next(batches))
    assert len(set(loop.rows[-1].tolist())) == BATCH
    assert loop.losses[-1].isfinite()


@pytest.mark.parametrize("where", ["cpu", GPU])
def test_the_record_holds_the_losses_of_the_loop(where: str) -> None:
    loop = Loop(recorded(records=RecordedLosses(ROWS, device=where)), net()).run(6)  # one whole walk
    numbers = [int(number) for rows in loop.rows for number in rows.tolist()]
    assert sorted(numbers) == list(range(ROWS))
    signals = loop.loader.records.read(torch.arange(ROWS), now=9)
    assert signals.losses.device.type == where
    means = [signals.losses[rows.cpu().long()].mean().item() for rows in loop.rows]
    assert means == pytest.approx([loss.item() for loss in loop.losses], rel=4e-3)  # kept as bfloat16


def test_a_record_on_the_device_chooses_what_one_on_the_cpu_does() -> None:
    policy = SingleMethod("big_loss", 0.4)
    both = [
        Loop(recorded(policy=copy.deepcopy(policy), records=RecordedLosses(ROWS, device=where)), net()).run(18)
        for where in ("cpu", GPU)
    ]
    assert [rows for rows, _ in both[0].seen()] == [rows for rows, _ in both[1].seen()]
    assert len({number for rows, _ in both[0].seen(6) for number in rows}) < ROWS


@pytest.mark.parametrize("kind", ["fresh", "carry", "recorded", "on the device", "workers"])
def test_resume_is_bit_for_bit(kind: str) -> None:
    def made() -> Loop:
        model = net()
        if kind in ("fresh", "carry"):
            return Loop(fresh(model, surplus="carry" if kind == "carry" else "drop"), model)
        store = RecordedLosses(ROWS, device=GPU) if kind == "on the device" else None
        return Loop(recorded(records=store, inner={"num_workers": 2} if kind == "workers" else {}), model)

    torch.manual_seed(1)
    whole = made().run(20, save_at=7)
    torch.manual_seed(99)
    resumed = made().load(whole.saved)
    resumed.run(13)
    assert resumed.seen() == whole.seen(7)
    for one, two in zip(whole.model.state_dict().values(), resumed.model.state_dict().values(), strict=True):
        assert torch.equal(one, two)


@pytest.mark.parametrize("kind", ["plain", "float16", "bfloat16", "channels_last", "compile"])
@pytest.mark.parametrize("mode", ["eval", "train"])
def test_scoring_leaves_the_training_as_it_is(kind: str, mode: str) -> None:
    def train(scored: bool) -> list[Tensor]:
        torch.manual_seed(3)
        torch._dynamo.reset()
        model: nn.Module = Net(nn.BatchNorm2d(4), dropout=0.3).to(GPU)
        if kind == "channels_last":
            model = model.to(memory_format=torch.channels_last)
        if kind == "compile":
            model = torch.compile(model, backend="aot_eager")  # type: ignore[assignment]
        dtype = {"float16": torch.float16, "bfloat16": torch.bfloat16}.get(kind)
        scaler = torch.amp.GradScaler(GPU, enabled=kind == "float16")
        optimizer = torch.optim.SGD(model.parameters(), 0.1, momentum=0.9)
        policy = SingleMethod("big_loss", 0.999 if scored else 1.0)  # keeps all rows, in their order or not
        loader = SelectiveLoader(
            DataLoader(pictures(), 8), policy, model=model, loss_fn=CE, score_mode=mode, autocast=dtype
        )
        seen = []
        for x, y in loader:
            order = x[:, 0, 0, 0].argsort()
            x, y = x[order].to(GPU), y[order].to(GPU)
            if kind == "channels_last":
                x = x.to(memory_format=torch.channels_last)
            with torch.autocast(GPU, dtype=dtype) if dtype else nullcontext():
                loss = CE(model(x), y).mean()
            optimizer.zero_grad()
            scaler.scale(loss).backward()
            scaler.step(optimizer)
            scaler.update()
            seen.append(loss.detach())
        assert loader.report().scored == (64 if scored else 0)
        return [*seen, *(value.clone() for value in model.state_dict().values())]

    before = torch.are_deterministic_algorithms_enabled(), torch.backends.cudnn.benchmark
    torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = True, False
    try:
        for plain, scored in zip(train(False), train(True), strict=True):
            assert torch.equal(plain, scored)
    finally:
        torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = False, before[1]


def test_cheap_scores_in_bfloat16_rank_as_full_ones() -> None:
    model = net()
    loader = fresh(model, SingleMethod("big_loss", 0.5), cheap=CheapScores(autocast=torch.bfloat16, measure_every=1))
    for batch in loader:
        loader.reduce(CE(model(small(batch[0])), batch[1])).backward()
    found = loader.report()
    assert found.window_correlation is not None
    assert found.window_correlation > 0.95
    assert found.score_cost is not None


def test_losses_that_are_nan_stop_the_pass_with_their_rows() -> None:
    model = net()
    with torch.no_grad():
        model[-1].bias.fill_(torch.nan)
    with pytest.raises(NonFiniteLossError):
        Loop(fresh(model), model).run(5)
    with pytest.raises(NonFiniteLossError):
        Loop(recorded(), model).run(30)


@pytest.fixture
def nccl() -> Iterator[None]:
    """A group of one process that talks through NCCL alone."""
    dist.init_process_group("nccl", store=dist.HashStore(), rank=0, world_size=1, device_id=torch.device(GPU, 0))
    try:
        yield
    finally:
        dist.destroy_process_group()


@pytest.mark.usefixtures("nccl")
def test_a_synchronised_batchnorm_trains_on_the_rows_chosen() -> None:
    model = nn.SyncBatchNorm.convert_sync_batchnorm(Net(nn.BatchNorm2d(4))).to(GPU)
    wrapped = nn.parallel.DistributedDataParallel(model, device_ids=[0])
    loader = SelectiveLoader(DataLoader(pictures(), 8), SingleMethod("big_loss", 0.5), model=wrapped, loss_fn=CE)
    steps = 0
    for x, y in loader:
        CE(wrapped(x), y).mean().backward()
        steps += 1
    assert steps == 4
    assert int(model.middle[0].num_batches_tracked) == 4  # 8 batches were scored
    del wrapped


@pytest.mark.usefixtures("nccl")
def test_records_merge_and_states_are_compared_over_nccl() -> None:
    loop = Loop(recorded(), net()).run(20)
    before = loop.loader.records.read(torch.arange(ROWS), now=9).losses.clone()
    loop.loader.records.merge()
    assert torch.equal(loop.loader.records.read(torch.arange(ROWS), now=9).losses, before)
    model = net()
    loop = Loop(fresh(model, scope="global"), model).run(9, save_at=4)
    again = Loop(fresh(model, scope="global"), model).load(loop.saved).run(5)
    assert again.seen() == loop.seen(4)
