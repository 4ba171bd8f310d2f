"""Numbers and verdicts in words, as a report says them."""

import math
from collections.abc import Sequence
from typing import Any

from lightning_nas.report.progress import Comparison, compare_arms
from lightning_nas.report.record import RunRecord
from lightning_nas.report.statistics import (
    BETTER,
    FEWEST,
    NO_BETTER,
    NOT_ENOUGH,
    WORSE,
    Difference,
    Mean,
)

ANSWERS = {BETTER: "Yes.", NO_BETTER: "Not measurably.", WORSE: "No, it did worse.", NOT_ENOUGH: ""}
CHANCE = "It is chance:"
TONES = {BETTER: "good", NO_BETTER: "", WORSE: "bad", NOT_ENOUGH: ""}


def number(value: float) -> str:
    """Return a count with separators; a fraction with three digits.

    >>> number(190992), number(0.01234)
    ('190,992', '0.0123')
    """
    return f"{value:,}" if isinstance(value, int) else f"{value:.3g}"


def duration(seconds: float) -> str:
    """Return a time as people say it.

    >>> duration(42.4), duration(340), duration(9000), duration(400_000)
    ('42 s', '5 min 40 s', '2.5 h', '4.6 days')
    """
    if seconds < 60:
        return f"{seconds:.2g} s" if seconds < 10 else f"{seconds:.0f} s"
    if seconds < 3600:
        return f"{seconds // 60:.0f} min {seconds % 60:.0f} s"
    return f"{seconds / 3600:.1f} h" if seconds < 48 * 3600 else f"{seconds / 86400:.1f} days"


def interval(ends: Sequence[float], digits: int = 4) -> str:
    """Return an interval.

    >>> interval((-0.01, 0.025))
    '-0.0100 to 0.0250'
    """
    low, high = ends
    if not (math.isfinite(low) and math.isfinite(high)):
        return "unknown"
    return f"{low:.{digits}f} to {high:.{digits}f}"


def mean(found: Mean) -> str:
    """Return a mean, the half width of its interval and how many values it is of.

    >>> from lightning_nas.report.statistics import mean_of
    >>> mean(mean_of([0.5, 0.7, 0.6, 0.6], "abcc"))
    '0.6000 ± 0.2635 (of 4, 3 evaluated)'
    """
    if not found.count:
        return "none"
    half = f" ± {found.half:.4f}" if math.isfinite(found.half) else ""
    copies = f", {found.evaluations:,} evaluated" if found.evaluations < found.count else ""
    return f"{found.value:.4f}{half} (of {found.count:,}{copies})"


def describe_comparisons(found: Sequence[Comparison]) -> list[list[str]]:
    """Return comparisons as rows of a table."""
    return [
        [
            one.when,
            mean(one.policy),
            mean(one.control),
            "" if math.isnan(one.difference.value) else f"{one.difference.value:+.4f}",
            interval((one.difference.low, one.difference.high)),
            one.difference.verdict,
        ]
        for one in found
    ]


def describe_verdict(record: RunRecord) -> dict[str, Any]:
    """Return the answer to the first question, its tone and its reasons."""
    if record.uniform:
        return {"answer": CHANCE, "tone": "", "words": "this search draws uniformly."}
    first, *others = compare_arms(record)
    found = first.difference
    if found.verdict == NOT_ENOUGH:
        words = (
            "Not enough data to say whether the search beat chance: "
            f"fewer than {FEWEST} {first.unit}. {_more(record)}"
        )
        return {"answer": "", "tone": "", "words": words}
    whose = "the controller's architectures" if record.shared else "what the search proposed"
    words = (
        f"In the {first.when}, {whose} had a mean reward of {first.policy.value:.4f}, uniformly "
        f"drawn ones evaluated alike {first.control.value:.4f}: {describe_difference(found)}"
    )
    unlike = [o for o in others if o.difference.verdict not in (found.verdict, NOT_ENOUGH)]
    words += "".join(f" Elsewhere, {one.when}: {one.difference.verdict}." for one in unlike)
    return {"answer": ANSWERS[found.verdict], "tone": TONES[found.verdict], "words": words}


def _more(record: RunRecord) -> str:
    """Return how there would be enough data."""
    setting = "method.control_steps=10" if record.shared else "method.control=0.3"
    return f"A longer search has more of both, and so has one with a larger random arm: {setting}."


def describe_difference(found: Difference) -> str:
    """Return a difference with its interval and verdict."""
    return (
        f"a difference of {found.value:+.4f} (95 % interval {interval((found.low, found.high))}), "
        f"{found.verdict}."
    )
