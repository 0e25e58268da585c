"""Evidence that speaks for one member each, and the same of numbers."""

from adaselection.thresholds import Evidence

LEFT_OUT = Evidence(
    apart=0.9, share=0.2, lower=0.3, mean=0.6, risen=1.0, upper=1.5, tau=1.8, finds=1.2,
    visits=50, stays=0.8, learnt=0.0, error=0.05, negative=0.0, explained=0.1, emptied=0.3, numbers=0.0, common=0.1,
    roots=0.0, before=0.0,
)  # fmt: skip
OUTLIERS = LEFT_OUT._replace(numbers=1.0, upper=4.0)
ROOTED = OUTLIERS._replace(apart=0.7, roots=0.75, tau=3.0)
OPPOSED = Evidence(
    apart=0.6, share=0.4, lower=0.55, mean=1.0, risen=1.0, upper=1.4, tau=1.1, finds=1.1,
    visits=120, stays=0.6, learnt=0.05, error=0.05, negative=0.0, explained=0.1, emptied=0.3, numbers=0.0, common=0.1,
    roots=0.0, before=0.0,
)  # fmt: skip
TAIL = Evidence(
    apart=0.6, share=0.1, lower=0.1, mean=0.3, risen=1.0, upper=0.9, tau=3.5, finds=2.0,
    visits=50, stays=0.1, learnt=0.2, error=0.1, negative=0.0, explained=0.1, emptied=0.3, numbers=0.0, common=0.1,
    roots=0.0, before=0.0,
)  # fmt: skip

TAUGHT = Evidence(
    apart=0.57, share=0.46, lower=0.7, mean=1.0, risen=1.0, upper=1.04, tau=1.1, finds=1.06,
    visits=3000, stays=0.46, learnt=0.12, error=0.02, negative=0.0, explained=0.03, emptied=0.5, numbers=0.0,
    common=0.1, roots=0.0, before=1.0,
)  # fmt: skip
MEMORIZED = Evidence(
    apart=0.65, share=0.37, lower=0.77, mean=0.97, risen=1.02, upper=1.2, tau=1.1, finds=1.05,
    visits=2777, stays=0.61, learnt=-0.05, error=0.02, negative=0.0, explained=0.01, emptied=0.5, numbers=0.0,
    common=0.11, roots=0.0, before=0.0,
)  # fmt: skip
