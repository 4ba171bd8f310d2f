"""Weight sharing judged, as a report shows it: ``weight_sharing.json`` and its scatter plot."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lightning_nas.errors import InputError
from lightning_nas.files import read_json
from lightning_nas.judge.facts import describe_state, list_remarks
from lightning_nas.report.inline import inline
from lightning_nas.report.words import interval, number


def describe_weight_sharing(folder: Path) -> dict[str, Any] | None:
    """Return what ``weight_sharing.json`` says, where weight sharing was judged.

    Raises:
        InputError: If the file is damaged.
    """
    path = folder / "weight_sharing.json"
    if not path.exists():
        return None
    found = read_json(path)
    try:
        said = _said(found)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path}: damaged: {error!r}") from None
    summary = folder / "summary.json"
    now = describe_state(read_json(summary) if summary.exists() else {})
    if found.get("search", now) != now:
        said["notes"].append(
            "This is of an earlier state of the search, which was resumed since: judge it again."
        )
    picture = path.with_suffix(".svg")
    svg = None
    if picture.exists():
        svg = inline(picture.read_text(encoding="utf-8"), "sharing", "Weight sharing", "chart")
    return said | {"svg": svg}


def _said(found: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "words": f"{len(found['architectures'])} architectures of this search were trained from "
        f"scratch for {found['epochs']} epochs each, and compared with their accuracies under the "
        "shared weights. A correlation of 1 would be the same order, 0 none. Those in the table "
        "are of the uniformly drawn ones only, which nothing chose.",
        "rows": [_correlation(mode, one) for mode, one in found["correlations"].items()],
        "derived": _derived(found.get("derived")),
        "notes": list_remarks(found),
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
