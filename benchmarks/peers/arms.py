"""The arms of the comparison, and the environment that each runs in."""

from __future__ import annotations

from dataclasses import dataclass

PLAIN, OURS, PACKAGE, NO_PACKAGE = "plain", "this library", "package", "our implementation, no package"


@dataclass(frozen=True)
class Environment:
    """What pip installs after torch, one command after the other.

    Attributes:
        commands: Arguments of ``pip install``.
    """

    commands: tuple[str, ...] = ()


@dataclass(frozen=True)
class Arm:
    """One row of the table.

    Attributes:
        name: As in the table.
        loop: Module of ``loops``; None where no environment could be made to write one for.
        kind: Whose code it is.
        environment: Name of its environment.
        what: What it does, in a few words.
        budget: Share of the full run's work; None for that of the comparison.
        rule: Name of the rule, for a loop that trains by any.
    """

    name: str
    loop: str | None
    kind: str
    environment: str
    what: str
    budget: float | None = None
    rule: str = ""


def _own(rule: str, what: str) -> Arm:
    """A rule that has no package, as this library has it."""
    return Arm(rule, "own_rule", NO_PACKAGE, "ours", what, rule=rule)


_COMPOSER = (  # its own requirements but torch and torchvision, for which it asks older ones
    '"coolname<3,>=1.1.0" "importlib-metadata<9,>=5.0.0" "mosaicml-cli<0.8,>=0.5.25" "numpy<2.3.0,>=1.21.5" '
    '"packaging<25.1,>=21.3.0" "pillow<12,>=10.3.0" "psutil<8,>=5.8.0" "py-cpuinfo<10,>=8.0.0" "pyyaml<7,>=6.0" '
    '"requests<3,>=2.26.0" "tabulate==0.9.0" "torch_optimizer<0.4,>=0.3.0" "torchmetrics<1.7.5,>=1.0" "tqdm<5,>=4.62.3"'
)
ENVIRONMENTS = {
    "ours": Environment(),
    "composer": Environment(("--no-deps mosaicml==0.32.1", _COMPOSER)),
    "adaptive_sparse_training": Environment(("--no-deps adaptive-sparse-training==1.0.1", "numpy tqdm")),
    "curriculumguard": Environment(("curriculumguard==0.2.1",)),
    "datacull": Environment(("datacull==1.0.2",)),
    "cords": Environment(("cords==0.0.4",)),
}
_AST = "adaptive_sparse_training"
ARMS = (
    Arm("full", "plain", PLAIN, "ours", "plain training, all epochs", budget=1.0),
    Arm("uniform_budget", "plain", PLAIN, "ours", "plain training for fewer epochs: the opponent"),
    Arm("adaselection_recorded", "recorded", OURS, "ours", "`RecordedLoader`, the default policy, rate 0.3"),
    Arm("adaselection_big_loss", "big_loss", OURS, "ours", "`SelectiveLoader`, `big_loss` alone, rate 0.5"),
    Arm("composer", "composer_select", PACKAGE, "composer", "`select_using_loss`, keep 0.5, every batch"),
    Arm("composer_schedule", "composer_schedule", PACKAGE, "composer", "the same on Composer's default schedule"),
    Arm("adaptive-sparse-training", _AST, PACKAGE, _AST, "`AdaptiveSparseTrainer`, target 0.4"),
    Arm("curriculumguard", "curriculumguard", PACKAGE, "curriculumguard", "`Curriculum.auto`"),
    Arm("cords", None, PACKAGE, "cords", "GLISTER, GradMatch and others"),
    Arm("datacull_rcap", "datacull_rcap", PACKAGE, "datacull", "`RCAPDataLoader`, half of each epoch"),
    Arm("datacull_rs2", "datacull_rs2", PACKAGE, "datacull", "`RS2DataLoader`, a random half of each epoch"),
    _own("selective_backprop", "Jiang et al. 2019, stale losses, rate 0.3"),
    _own("infobatch", "Qin et al. 2024, recorded losses, rate 0.3"),
    _own("kakurenbo", "Nguyen et al. 2023, recorded losses, rate 0.3"),
    Arm("rho_loss", "own_rho_loss", NO_PACKAGE, "ours", "Mindermann et al. 2022, recorded losses, rate 0.3"),
)
