"""Groups of runs that differ in nothing but their seed, and comparisons of such groups.

Runs with different settings are different experiments: their rewards are never averaged.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from lightning_nas.report.comparison import Comparison, describe_difference
from lightning_nas.report.judged import compare_networks, list_comparisons
from lightning_nas.report.record import RunRecord
from lightning_nas.report.statistics import (
    BETTER,
    CANNOT_TELL,
    Difference,
    Mean,
    compare_pairs,
    estimate_mean,
)
from lightning_nas.report.verdict import (
    IS_RANDOM_SEARCH,
    Verdict,
    decide_runs,
    describe_doubts,
    make_verdict,
)

MIN_SEEDS = 3
FEW_SETTINGS = 20  # up to here the settings that differ are shown without a click
# Settings that may differ between runs of one group: they do not change rewards.
MAY_DIFFER = (
    *("seed", "paths", "resume", "objective", "logger", "tags", "extras", "executor", "hydra"),
    *("dry_run", "minutes", "threads", "train_with"),
)
DISPLAY = ("callbacks.progress", "callbacks.time_left")  # starts of names: what a run prints
# Settings that belong to a method; of the settings in ``method``, those below belong to the search.
OF_METHOD = ("name", "method_name", "method", "controller", "train_with")
OF_SEARCH = (
    *("samples", "budget", "repeat", "grow_every", "grow_by", "finalists"),
    *("finalist_epochs", "finalist_seeds"),
    *("supernet", "controller_batch", "warmup_epochs"),
)
INTERNAL = ("_target_", "_partial_", "_recursive_", "_convert_")  # ends of names that Hydra reads


@dataclass(frozen=True)
class Group:
    """Runs with the same settings apart from the seed.

    Args:
        name: Short name: experiment, method, and the settings that differ from other groups.
        records: The runs, at least one.
    """

    name: str
    records: tuple[RunRecord, ...]

    @property
    def is_random_search(self) -> bool:
        """Whether the runs sample all architectures uniformly."""
        return self.records[0].is_random_search

    @property
    def kind(self) -> tuple[bool, str]:
        """Mark of comparable best rewards: how a run evaluates architectures, and the data."""
        record = self.records[0]
        method = record.config["method"]
        has_finalists = method.get("finalists") and not record.shares_weights
        trainings = None
        if has_finalists:
            trainings = method.get("finalist_epochs"), method.get("finalist_seeds", 1)
        budget = method.get("budget") or {}
        weighed = budget if budget.get("cost") else None  # the rewards are weighed by the cost
        evaluation = record.config.get("evaluation"), record.config.get("data"), trainings, weighed
        return record.shares_weights, repr(evaluation)

    @property
    def compared(self) -> list[RunRecord]:
        """The runs whose best rewards count in ``estimate_best``."""
        return [record for record in self.records if _score_best(record) is not None]

    @property
    def conditions(self) -> str:
        """Mark of runs that differ only in their method: all other settings, in order."""
        config = self.records[0].config
        kept = {k: v for k, v in config.items() if k not in (*MAY_DIFFER, *OF_METHOD)}
        kept["method"] = {k: config["method"].get(k) for k in OF_SEARCH}
        return _sort_settings(kept)

    def estimate_best(self) -> Mean:
        """Return the mean over runs of the best reward.

        For ENAS, it is the accuracy of the derived architecture after training from scratch; runs
        that were not judged are left out.
        """
        scores = map(_score_best, self.records)
        return estimate_mean([score for score in scores if score is not None])


def _score_best(record: RunRecord) -> float | None:
    if record.shares_weights:
        networks = compare_networks(record)
        return None if networks is None else networks.search.value
    return record.best[0].trial.reward if record.best else None


def group_runs(records: Sequence[RunRecord]) -> list[Group]:
    """Return the runs in groups, in the order of their first runs."""
    by_settings: dict[str, list[RunRecord]] = {}
    for record in records:
        kept = {k: v for k, v in record.config.items() if k not in MAY_DIFFER}
        by_settings.setdefault(_sort_settings(kept), []).append(record)
    groups = list(by_settings.values())
    different = find_differing_settings([one[0].config for one in groups])
    names = [_name_group(place, one[0], different) for place, one in enumerate(groups)]
    names = [_number_name(place, names) for place in range(len(names))]
    return [Group(name, tuple(one)) for name, one in zip(names, groups, strict=True)]


def _name_group(place: int, record: RunRecord, different: Mapping[str, Sequence[Any]]) -> str:
    """Return a name: method, and at most two settings that tell groups apart.

    The experiment comes first if there is one group, or if the groups have several experiments.
    """
    named = ("name", "method_name", *MAY_DIFFER)
    settings = [
        f"{setting.split('.')[-1]}={_round_value(values[place])}"
        for setting, values in different.items()
        if setting.split(".")[0] not in named and len(str(values[place])) < 24
    ]
    if "method_name" in different or "name" in different:
        settings = []
    method = str(record.config.get("method_name", record.method))
    experiment = [] if "name" not in different and different else [record.name]
    return " ".join([*experiment, method, *settings[:2]])


def _number_name(place: int, names: Sequence[str]) -> str:
    """Return a name with its number among equal names.

    >>> [_number_name(place, ["nas", "enas", "enas"]) for place in range(3)]
    ['nas', 'enas (1)', 'enas (2)']
    """
    name = names[place]
    return f"{name} ({names[: place + 1].count(name)})" if names.count(name) > 1 else name


def _round_value(value: Any) -> Any:
    """Return the value of a setting for a name; a sweep may choose numbers with 17 digits.

    >>> _round_value(0.012520653814999465), _round_value(7)
    ('0.01252', 7)
    """
    return f"{value:.4g}" if isinstance(value, float) else value


def find_differing_settings(configs: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """Return the settings that differ, by their dotted names, with the value in each run.

    >>> find_differing_settings([{"a": {"b": 1}, "c": 2}, {"a": {"b": 3}, "c": 2}])
    {'a.b': [1, 3]}
    """
    flat = [dict(_flatten_settings(config)) for config in configs]
    names = dict.fromkeys(name for settings in flat for name in settings)
    values = {name: [settings.get(name) for settings in flat] for name in names}
    return {name: found for name, found in values.items() if any(v != found[0] for v in found)}


def _flatten_settings(config: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield name and value of each setting, without those of ``DISPLAY``."""
    for name, value in config.items():
        if isinstance(value, Mapping):
            yield from _flatten_settings(value, f"{prefix}{name}.")
        elif not f"{prefix}{name}".startswith(DISPLAY):
            yield f"{prefix}{name}", value


def _sort_settings(config: Mapping[str, Any]) -> str:
    """Return settings as text that does not depend on their order."""
    return repr(sorted((name, repr(value)) for name, value in _flatten_settings(config)))


def list_settings(unlike: Mapping[str, Sequence[Any]]) -> list[tuple[str, list[list[str]]]]:
    """Return the settings that differ between groups, as rows by the first part of their names.

    A row has the name of a setting and its value in each group. Up to ``FEW_SETTINGS`` are one
    part.
    """
    rows = [
        [name, *map(_shorten_value, values)]
        for name, values in unlike.items()
        if name.split(".")[0] not in MAY_DIFFER and not _is_internal(name, values)
    ]
    if len(rows) <= FEW_SETTINGS:
        return [("all settings", rows)] if rows else []
    parts: dict[str, list[list[str]]] = {}
    for row in rows:
        first, _, rest = row[0].partition(".")
        parts.setdefault(first if rest else "other", []).append(row)
    return list(parts.items())


def _is_internal(name: str, values: Sequence[Any]) -> bool:
    """Return whether a setting is a word of Hydra or a reference, which says nothing to a reader.

    >>> _is_internal("method._partial_", [True, None]), _is_internal("method.batch", [8, 20])
    (True, False)
    """
    is_reference = all(value is None or str(value).startswith("${") for value in values)
    return name.rpartition(".")[2] in INTERNAL or is_reference


def _shorten_value(value: Any) -> str:
    """Return the value of a setting as text, without the package of a class.

    >>> _shorten_value("lightning_nas.methods.nas.NAS"), _shorten_value(0.5), _shorten_value(None)
    ('NAS', '0.5', 'none')
    """
    if value is None:
        return "none"
    text = str(value)
    return text.rpartition(".")[2] if re.fullmatch(r"[a-z_]+(\.\w+)+", text) else text


# ---- the verdict on a group ----------------------------------------------------------------------


def choose_comparisons(group: Group) -> dict[str, list[tuple[RunRecord, Comparison]]]:
    """Return the comparisons that decide, under the part of the search that most runs compared.

    A run without a ranking at the end has only the comparisons during the search.
    """
    found: dict[str, list[tuple[RunRecord, Comparison]]] = {}
    for record in group.records:
        for one in list_comparisons(record):
            if one.has_both_arms:
                found.setdefault(one.when, []).append((record, one))
    when = max(found, key=lambda name: len(found[name]), default="")
    return {when: found.get(when, [])}


def describe_group_verdict(group: Group) -> Verdict:
    """Return the verdict on the runs of a group: one pair of means for each run."""
    if group.is_random_search:
        return IS_RANDOM_SEARCH
    ((when, chosen),) = choose_comparisons(group).items()
    if len(chosen) < MIN_SEEDS:
        words = (
            f"Not enough data: {len(chosen)} of the runs have a random arm, at least {MIN_SEEDS} "
            "are needed."
        )
        return Verdict("", words)
    difference = compare_pairs(
        [one.difference.value for _, one in chosen],
        fmean(one.random_arm.spread for _, one in chosen),
        MIN_SEEDS,
    )
    verdict, doubts = _decide_group(group, when, chosen, difference)
    words = (
        f"In {len(chosen)} of {len(group.records)} runs, {when}, mean reward of the search minus "
        f"that of its random arm: {describe_difference(difference)}"
    )
    return make_verdict(verdict, words + describe_doubts(verdict, difference, doubts))


def _decide_group(
    group: Group,
    when: str,
    chosen: Sequence[tuple[RunRecord, Comparison]],
    difference: Difference,
) -> tuple[str, list[str]]:
    """Return the verdict, and the reasons against a "Yes"."""
    is_shared = group.records[0].shares_weights and when.startswith("shared weights")
    if difference.verdict == BETTER and is_shared:
        return CANNOT_TELL, [
            "rewards under shared weights favour what the controller prefers: judge the runs with "
            "python -m lightning_nas.judge RUN"
        ]
    return decide_runs(difference.verdict, [record for record, _ in chosen])
