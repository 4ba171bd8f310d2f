"""Weight sharing judged, as a report shows it: ``weight_sharing.json`` and its scatter plot."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lightning_nas.report.inline import inline
from lightning_nas.report.words import interval, number


def judged(folder: Path) -> dict[str, Any] | None:
    """Return what ``weight_sharing.json`` says, where weight sharing was judged."""
    path = folder / "weight_sharing.json"
    if not path.exists():
        return None
    found = json.loads(path.read_text(encoding="utf-8"))
    picture = path.with_suffix(".svg")
    svg = None
    if picture.exists():
        svg = inline(picture.read_text(encoding="utf-8"), "sharing", "Weight sharing", "chart")
    return {
        "words": f"{len(found['architectures'])} architectures of this search were trained from "
        f"scratch for {found['epochs']} epochs each, and compared with their accuracies under the "
        "shared weights. A correlation of 1 would be the same order, 0 none.",
        "rows": [_correlation(mode, one) for mode, one in found["correlations"].items()],
        "derived": _derived(found.get("derived")),
        "svg": svg,
    }


def _correlation(mode: str, found: Mapping[str, Any]) -> list[str]:
    return [
        mode,
        number(found["count"]),
        f"{found['tau']:.2f}",
        interval(found["tau_interval"], digits=2),
        f"{found['rho']:.2f}",
        interval(found["rho_interval"], digits=2),
    ]


def _derived(found: Mapping[str, float] | None) -> str:
    if not found:
        return ""
    return (
        f"Trained alone, the derived architecture has {found['alone_mean']:.2%}; uniform ones "
        f"{found['control_mean']:.2%} on average (deviation {found['control_std']:.2%}), the "
        f"best of them {found['control_best']:.2%}: it is better than {found['better_than']:.0%} "
        "of them."
    )
