"""`AdaSelection`: losses in, the rows worth a gradient out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from adaselection import checks, kinds
from adaselection import functional as F  # noqa: N812
from adaselection.base import Policy
from adaselection.earned import Earned
from adaselection.errors import ArgumentError, StateError
from adaselection.members import MEMBERS, members_of
from adaselection.registry import MethodLike, resolve_all
from adaselection.step import BY_RECORD, CHOICES, CURRICULA, WEIGHTINGS, Choice, Curriculum, Recipe, Reduce, Weighting
from adaselection.thresholds import Thresholds
from adaselection.types import Selection, Signals
from adaselection.windows import drawn

_FRESH = ("big_loss", "small_loss", "uniform")
_SOUND: dict[str, Any] = {"importance": "softmax_z", "weighting": "bounded", "choice": "draw", "adaboost": None}
_PAPER: dict[str, Any] = {"importance": "softmax", "weighting": "paper", "choice": "top_k", "adaboost": "clamp"}
_OF_RECORDS = {"members", "wrong_labels"}


class AdaSelection(Policy):
    """The adaptive mixture of subsampling methods.

    Each batch: the weights w of the methods follow what happened to the losses that each would keep (eq. 3), every row
    gets the score ``s_i = r_i * sum_m w_m alpha_i^m`` (eqs. 2, 4, 5), and k rows are kept (eq. 6). The paper keeps the
    k highest scores. The default draws k rows in proportion to their scores, so that no row is left out for good.

    Args:
        methods: names (`adaselection.methods()` lists them), your own functions, or pairs ``(name, function)``.
            ``big_loss``, ``small_loss`` and ``uniform`` if None; under `RecordedLoader`, the earned mixture then.
        rate: share of the rows to keep, in ``(0, 1]``; 1 keeps all.
        beta: in ``[-1, 1]``: above 0 favours methods whose loss moves, below 0 steady ones, 0 keeps weights equal.
        curriculum: None (no reward), ``"printed"`` (eq. 4 as printed), ``"text"`` (as the paper describes it) or
            ``"scale_free"`` (easy rows first, fading to nothing).
        replicate: ``"paper"`` takes the paper's reading of every argument below that you leave at None.
        seed: of the policy's own random generator; no global one is touched.
        importance: eq. 2: ``"softmax_z"`` (default), ``"softmax"`` (paper), ``"indicator"`` or ``"rank"``.
        weighting: eq. 3: ``"bounded"`` (default: bounded gains, smoothed losses, a fixed share), ``"paper"``,
            ``"fixed"`` (equal weights) or ``"placebo"`` (random gains, a control for experiments). Under
            `RecordedLoader` also ``"variance"`` (methods that lower the variance of the unbiased gradient gain) and
            ``"progress"`` (methods whose instances were learnt lately gain), which docs/results/ladder.md judges.
        adaboost: reading of eq. 1: by the kind of loss (default) or one of `functional.ADABOOST_READINGS`; paper:
            ``"clamp"``.
        choice: eq. 6: ``"draw"`` (default: a random draw of fixed size in proportion to the scores, with known
            inclusion probabilities), ``"top_k"`` of the scores (paper), or ``"quota"`` (each method fills its share of
            the k places with the rows that it wants most).
        weight_exponent: 0 for no sample weights; above 0, with ``choice="draw"``, weights ``p^-exponent``.
        loss_average: the method's loss in eq. 3: over the rows it would keep (``"kept"``) or all (``"batch"``).
        half_life: of the moving average of the methods' losses, in batches (``"bounded"``).
        share: weight that is spread evenly over the methods at each batch (``"bounded"``).
        curriculum_power: exponent of t in eq. 4; the rate if None, as the paper's symbol has it.
        curriculum_batches: batches over which ``"scale_free"`` fades.
        max_nonfinite: share of NaN or infinite losses in a batch that is an error. Such rows are never kept.
        members: under `RecordedLoader`, which members of the earned mixture may get the weight besides ``"uniform"``:
            some of ``"trusted"``, ``"hard"`` and ``"uncertain"``; all if None. ``("hard",)`` leaves nothing out for
            looking wrong.
        wrong_labels: under `RecordedLoader`, whether you know that some labels or targets are wrong. What the earned
            mixture leaves out is then trained on by force when it was not seen for 30 walks, not 3, and after ten walks
            of leaving out the cut between the groups of losses becomes lower: in a long training it would else be
            learnt by heart. Where the learning rate is too low for that, it gains less than the default.

    Raises:
        ArgumentError: an argument out of its range, an unknown or repeated method, or members of another mixture.
    """

    def __init__(
        self,
        methods: Sequence[MethodLike] | None = None,
        rate: float = 0.3,
        *,
        beta: float = 0.5,
        curriculum: Curriculum | None = None,
        replicate: Literal["paper"] | None = None,
        seed: int = 0,
        importance: F.Importance | None = None,
        weighting: Weighting | None = None,
        adaboost: F.AdaBoostReading | None = None,
        choice: Choice | None = None,
        weight_exponent: float = 0.0,
        loss_average: F.LossAverage = "kept",
        half_life: float = 50.0,
        share: float = 0.01,
        curriculum_power: float | None = None,
        curriculum_batches: int = 1000,
        max_nonfinite: float = 0.25,
        members: Sequence[str] | None = None,
        wrong_labels: bool = False,
    ) -> None:
        checks.one_of("replicate", replicate, ("paper",), optional=True)
        default = _PAPER if replicate == "paper" else _SOUND
        reading = default["adaboost"] if adaboost is None else adaboost
        asked = {"weighting": weighting, "importance": importance, "choice": choice}
        words = default | {name: word for name, word in asked.items() if word is not None}
        recipe = Recipe(
            methods=resolve_all(_FRESH if methods is None else methods, reading),
            rate=checks.rate(rate),
            beta=checks.within("beta", beta, -1, 1),
            weighting=checks.one_of("weighting", words["weighting"], WEIGHTINGS),
            loss_average=checks.one_of("loss_average", loss_average, F.LOSS_AVERAGES),
            half_life=checks.positive("half_life", half_life),
            share=checks.within("share", share, 0, 1),
            importance=checks.one_of("importance", words["importance"], F.IMPORTANCES),
            choice=checks.one_of("choice", words["choice"], CHOICES),
            weight_exponent=checks.within("weight_exponent", weight_exponent, 0, 1),
            curriculum=checks.one_of("curriculum", curriculum, CURRICULA, optional=True),
            curriculum_power=rate if curriculum_power is None else checks.finite("curriculum_power", curriculum_power),
            curriculum_batches=checks.count("curriculum_batches", curriculum_batches, 1),
            max_nonfinite=checks.within("max_nonfinite", max_nonfinite, 0, 1),
        )
        if weight_exponent > 0 and recipe.choice != "draw":
            raise ArgumentError(
                f"weight_exponent={weight_exponent:g} needs known inclusion probabilities, and "
                f'choice={recipe.choice!r} is deterministic. Pass choice="draw", or weight_exponent=0.'
            )
        self._as_scored = choice is not None or importance is not None or replicate is not None
        if self._as_scored and recipe.weighting in BY_RECORD:
            raise ArgumentError(
                f"weighting={weighting!r} mixes chances to be drawn. Leave out choice=, importance= and replicate=."
            )
        settings = {**_plain(recipe), "adaboost": reading, "replicate": replicate, "seed": seed}
        own = methods is None and weighting is None and not self._as_scored and weight_exponent == 0
        earned = _earned(rate, own, members, wrong_labels)
        settings |= {"members": list(members)} if members is not None else {}
        settings |= {"wrong_labels": True} if wrong_labels else {}
        super().__init__(recipe, checks.seed(seed), settings)
        self._earned = earned
        self._gate = self._earned or self._gate

    def _usual(self) -> dict[str, Any]:
        return AdaSelection(rate=self.rate, replicate=self._settings["replicate"])._settings | {"replicate": None}

    @property
    def settings(self) -> dict[str, Any]:
        """The arguments that the policy was built from, as plain values; on records, those of the earned mixture."""
        if self._earned is None or not self._on_records:
            return super().settings
        return {"rate": self.rate, "seed": self._settings["seed"], "earned": self._earned.settings}

    @property
    def weights(self) -> dict[str, float]:
        """Weight w of each method, summing to 1; of the earned mixture under `RecordedLoader`, or with ``members``."""
        earns = self._on_records or bool(_OF_RECORDS & self._settings.keys())
        return self._earned.weights if self._earned is not None and earns else super().weights

    def check_fresh(self) -> None:
        """Raise ArgumentError if an argument is about recorded losses only."""
        super().check_fresh()
        for name in sorted(_OF_RECORDS & self._settings.keys()):
            raise ArgumentError(
                f"{name}= is about the earned mixture, which needs recorded losses. Wrap the DataLoader in "
                f"RecordedLoader, or leave out {name}=."
            )

    @property
    def _mixes_chances(self) -> bool:
        """Whether nothing asks for the scores of eq. 5 on the recorded plane."""
        return not self._as_scored

    def choose(self, signals: Signals, k: int, *, reduce: Reduce | None = None) -> Selection:
        """Choose from a window of recorded instances; of trusted ones the earned mixture keeps all, whatever ``k``."""
        if self._earned is None:
            return super().choose(signals, k, reduce=reduce)
        chances = self._earned.chances(signals, k)
        return self._through(lambda noise: (self._state, drawn(chances, noise)), signals)

    def state_dict(self) -> dict[str, Any]:
        """Everything needed to go on bit for bit: tensors, numbers and strings, loadable with ``weights_only=True``."""
        return {**super().state_dict(), "earned": {} if self._earned is None else self._earned.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from `state_dict`.

        Raises:
            StateError: the state is of another version, policy, method list or rate. The policy is then as it was.
        """
        before = super().state_dict()
        super().load_state_dict(state)
        try:
            kinds.check({"earned": {}}, state, "policy")
            if self._earned is not None:
                self._earned.load_state_dict(state["earned"])
        except StateError:
            super().load_state_dict(before)
            raise


def _earned(rate: float, own: bool, members: Sequence[str] | None, wrong: bool) -> Earned | None:
    """The earned mixture of some members, all if None; none where another mixture is asked for.

    Raises:
        ArgumentError: what is said of it is about another mixture, or there are no such members.
    """
    if not isinstance(wrong, bool):
        raise ArgumentError(f"wrong_labels must be True or False; got {wrong!r}.")
    if members is None and not wrong:
        return Earned(rate) if own else None
    need = Thresholds(MEMBERS if members is None else members_of(members), known=wrong)
    if not own:
        name = "wrong_labels" if members is None else "members"
        raise ArgumentError(
            f"{name}= is about the earned mixture, and methods, weighting, choice, importance, replicate and "
            f"weight_exponent ask for another. Leave out {name}=, or these."
        )
    return Earned(rate, need)


def _plain(recipe: Recipe) -> dict[str, Any]:
    """The recipe as plain values, for records and people."""
    values = {name: getattr(recipe, name) for name in recipe.__dataclass_fields__}
    return {**values, "methods": [row.name for row in recipe.methods]}
