"""What a run folder says of a search, as one piece of plain data. No Hydra here.

The journal is opened for reading alone, so a search that is still running can be looked at.
"""

import csv
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from pydoc import ErrorDuringImport, locate
from typing import Any

import yaml
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from lightning_nas.architecture import Architecture, from_json
from lightning_nas.errors import InputError
from lightning_nas.evaluation.budget import COSTS, pareto_front
from lightning_nas.files import read_json
from lightning_nas.layers.operations import register_operations
from lightning_nas.search.result import RankedArchitecture, decode_trials
from lightning_nas.spaces.base import Space
from lightning_nas.storage.journal_reader import JournalReader
from lightning_nas.storage.run_folder import RunFolder, shell_path
from lightning_nas.storage.trial import (
    DERIVED,
    FINALIST,
    POLICY,
    RANDOM,
    Proposal,
    Trial,
    best_of,
)

TOP = 10
RESUMED = "resumed.yaml"  # beside config.yaml: the arguments of the last resume
Tokens = tuple[int, ...]


class NoTrialsError(InputError):
    """A search of which nothing has ended yet."""

    def __init__(self, folder: Path) -> None:
        super().__init__(f"{folder}: a search without trials; there is nothing to report yet")


@dataclass(frozen=True)
class RunRecord:
    """A search, as far as it has come.

    Args:
        folder: The run folder.
        configuration: Its whole configuration, as YAML.
        config: The same, parsed, with the settings of the last resume; references to other settings
            are not resolved.
        summary: Of ``summary.json``; empty where there is none yet.
        space: What was searched.
        trials: All that ended, in that order.
        texts: JSON of the architectures that were evaluated by themselves, by their tokens.
        metrics: Rows of ``metrics.csv``; what is empty there is missing.
        shared: Whether the architectures share weights, as ENAS's do.
        best: The ten best, the chosen one first, finalists before the others.
        front: Those that no other beats in accuracy and cost, the cheapest first.
        cost: Which cost that is.
    """

    folder: Path
    configuration: str
    config: Mapping[str, Any]
    summary: Mapping[str, Any]
    space: Space
    trials: tuple[Trial, ...]
    texts: Mapping[Tokens, str]
    metrics: tuple[Mapping[str, float], ...]
    shared: bool
    best: tuple[RankedArchitecture, ...]
    front: tuple[RankedArchitecture, ...]
    cost: str

    @property
    def name(self) -> str:
        """The experiment."""
        return str(self.config.get("name", self.folder.name))

    @property
    def method(self) -> str:
        """The method's short name."""
        return str(self.summary.get("method") or self.config.get("method_name", "search"))

    @property
    def seed(self) -> Any:
        """The seed of the search."""
        return self.config.get("seed")

    @property
    def evaluated(self) -> int:
        """How many evaluations there were, of all arms; copied outcomes are none."""
        return sum(trial.same_as is None for trial in self.trials)

    @property
    def repeats(self) -> int:
        """How many proposals copied the outcome of an earlier one."""
        return len(self.trials) - self.evaluated

    @property
    def uniform(self) -> bool:
        """Whether the search itself drew uniformly: it is chance."""
        controller = (self.config["method"].get("controller") or {}).get("controller")
        if isinstance(controller, str):  # ${controller}
            controller = self.config.get("controller")
        target = str((controller or {}).get("_target_"))
        return self.method == "random_search" or target.endswith(".UniformController")

    @property
    def grows(self) -> bool:
        """Whether later architectures were drawn from larger spaces."""
        return self.config["method"].get("grow_every") is not None

    @property
    def tabular(self) -> bool:
        """Whether outcomes were read from a table: their seconds are of trainings of others."""
        evaluation = self.config.get("evaluation") or {}
        return str(evaluation.get("_target_")).endswith(".TabularBenchmark")

    @property
    def partial(self) -> str:
        """Why this is not the whole search; empty where it is."""
        if self.summary.get("status") == "interrupted":
            return "the search was interrupted"
        if not self.summary:
            return "the search has not ended: it is still running, or it was killed"
        return ""

    @property
    def train_line(self) -> str:
        """The command that trains what was found."""
        return f"python train.py architecture={shell_path(self.folder)}"

    @property
    def resume_line(self) -> str:
        """The command with which the search goes on."""
        return f"python search.py resume={shell_path(self.folder)}"

    def of(self, *arms: str) -> tuple[Trial, ...]:
        """Return the trials of some arms."""
        return tuple(trial for trial in self.trials if trial.proposal.arm in arms)

    def final(self) -> tuple[tuple[Trial, ...], tuple[Trial, ...]]:
        """Return the controller's and the uniform architectures of the ranking at the end."""
        derived = self.of(DERIVED)
        first = min((trial.number for trial in derived), default=math.inf)
        return derived, tuple(t for t in self.of(RANDOM) if t.number > first)

    def control(self) -> tuple[Trial, ...]:
        """Return the random arm that went along with the search."""
        last = {trial.number for trial in self.final()[1]}
        return tuple(trial for trial in self.of(RANDOM) if trial.number not in last)

    def late(self) -> tuple[tuple[Trial, ...], tuple[Trial, ...]]:
        """Return what the search proposed in its second half, and the random arm beside it.

        That is the whole random arm where the space stays the same, and otherwise what was
        proposed in the same span of numbers: it is from spaces of the same sizes.
        """
        policy = sorted(self.of(POLICY), key=lambda trial: trial.number)
        half = policy[len(policy) // 2 :]
        control = self.control()
        if self.grows and half:
            span = range(half[0].number, half[-1].number + 1)
            control = tuple(trial for trial in control if trial.number in span)
        return tuple(half), control

    def architecture(self, trial: Trial) -> Architecture:
        """Return the architecture of a trial.

        It is decoded when it is asked for: a search may have hundreds of thousands.
        """
        return decode_tokens(trial.proposal.tokens, self.texts, self.space)


def decode_tokens(tokens: Tokens, texts: Mapping[Tokens, str], space: Space) -> Architecture:
    """Return the architecture of tokens: as it was written down, or else as the space has it."""
    return from_json(texts[tokens], "trials.sqlite") if tokens in texts else space.decode(tokens)


def read_run(folder: Path) -> RunRecord:
    """Read a run folder.

    Raises:
        InputError: If it is none, or that of a training.
        NoTrialsError: If nothing has ended yet.
    """
    RunFolder(folder).check_is_run()
    path = folder / ".hydra" / "config.yaml"
    configuration, config = _configuration(path)
    configuration, config = _resumed(configuration, config, path.with_name(RESUMED))
    if "space" not in config:
        raise InputError(f"{folder}: the folder of a training; a report is of a search")
    register_operations(config.get("operations"))  # before the space reads their names
    space = _space(config, path)
    trials, written = _trials(folder)
    path = folder / "summary.json"
    summary = read_json(path) if path.exists() else {}
    texts = {
        trial.proposal.tokens: text
        for trial, text in zip(trials, written, strict=True)
        if text is not None
    }
    shared = all(
        text is None
        for trial, text in zip(trials, written, strict=True)
        if trial.proposal.arm != FINALIST
    )
    cost = (config["method"].get("budget") or {}).get("cost") or COSTS[0]
    front = () if shared else pareto_front([t for t in trials if t.proposal.arm != FINALIST], cost)

    def decode(proposal: Proposal) -> Architecture:
        return decode_tokens(proposal.tokens, texts, space)

    return RunRecord(
        folder=folder,
        configuration=configuration,
        config=config,
        summary=summary,
        space=space,
        trials=tuple(trials),
        texts=texts,
        metrics=tuple(_metrics(folder / "metrics.csv")),
        shared=shared,
        best=tuple(decode_trials(_best(trials, shared, _chosen(folder, summary)), decode)),
        front=tuple(decode_trials(front, decode)),
        cost=cost,
    )


def _configuration(path: Path) -> tuple[str, dict[str, Any]]:
    """Return the text of a configuration, and its settings without references resolved."""
    try:
        text = path.read_text(encoding="utf-8")
        config = yaml.safe_load(text)
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        raise InputError(f"{path}: damaged: {' '.join(str(error).split())}") from None
    if not isinstance(config, dict):
        raise InputError(f"{path}: damaged: it has no settings")
    return text, config


def _resumed(text: str, config: dict[str, Any], path: Path) -> tuple[str, dict[str, Any]]:
    """Add the settings that the run was last resumed with, where there are any."""
    if not path.exists():
        return text, config
    try:
        added = yaml.safe_load(path.read_text(encoding="utf-8"))
        merged = OmegaConf.merge(config, OmegaConf.from_dotlist(added))
    except (ValueError, yaml.YAMLError, OmegaConfBaseException) as error:
        raise InputError(f"{path}: damaged: {' '.join(str(error).split())}") from None
    settings: Any = OmegaConf.to_container(merged, resolve=False)
    return f"# resumed with: {' '.join(added)}\n{text}", settings


def _space(config: Mapping[str, Any], path: Path) -> Space:
    """Build the space that the configuration describes, as Hydra would.

    The only reader of references such as ``${layers}``; keys such as ``_convert_`` are Hydra's own.
    """
    try:
        settings: Any = OmegaConf.to_container(OmegaConf.create(dict(config)).space, resolve=True)
        kind: Any = locate(settings["_target_"])
        if kind is None:
            raise InputError(f"{path}: its space, {settings['_target_']}, cannot be imported here")
        given = {name: value for name, value in settings.items() if not name.startswith("_")}
        space: Space = kind(**given)
    except (ErrorDuringImport, OmegaConfBaseException, KeyError, TypeError) as error:
        raise InputError(
            f"{path}: its space cannot be built: {' '.join(str(error).split())}"
        ) from None
    return space


def _trials(folder: Path) -> tuple[list[Trial], list[str | None]]:
    path = folder / "trials.sqlite"
    if not path.exists():
        raise NoTrialsError(folder)
    journal = JournalReader(path)
    try:
        trials = [] if journal.is_empty else journal.ended()
        if not trials:
            raise NoTrialsError(folder)
        return trials, list(journal.architectures())
    finally:
        journal.close()


def _metrics(path: Path) -> list[dict[str, float]]:
    if not path.exists():
        return []
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    return [{name: float(value) for name, value in row.items() if value} for row in rows]


def _chosen(folder: Path, summary: Mapping[str, Any]) -> list[int] | None:
    """Return the numbers of the best, in the order of ``top.csv``; None before a search has ended.

    The journal alone does not tell: it has the finalists of before the search was extended, too.
    """
    path = folder / "top.csv"
    if summary.get("status") != "complete" or not path.exists():
        return None
    try:
        with path.open(newline="", encoding="utf-8") as file:
            return [int(row["trial"]) for row in csv.DictReader(file)]
    except (UnicodeDecodeError, KeyError, ValueError):
        raise InputError(f"{path}: damaged") from None


def _best(trials: Sequence[Trial], shared: bool, chosen: Sequence[int] | None) -> list[Trial]:
    """Return the best as the method chose them: finalists, where there are any, before the others.

    Of a search with shared weights that has not ended, the best that its controller has sampled.
    """
    whole = [t for t in trials if t.outcome.error is None and t.same_as is None]
    if chosen is None:
        first = best_of((t for t in whole if t.proposal.arm == FINALIST), TOP)
    else:
        numbered = {trial.number: trial for trial in whole}
        first = [numbered[number] for number in chosen if number in numbered]
    return [*first, *_others(whole, shared, {t.proposal.tokens for t in first})][:TOP]


def _others(whole: Sequence[Trial], shared: bool, chosen: set[Tokens]) -> list[Trial]:
    """Return the best that are not finalists, without those that were chosen."""
    found = [t for t in whole if t.proposal.arm == DERIVED]
    if not found:
        arms = (POLICY,) if shared else (POLICY, RANDOM)
        found = [t for t in whole if t.proposal.arm in arms]
    return [t for t in best_of(found, 2 * TOP) if t.proposal.tokens not in chosen]
