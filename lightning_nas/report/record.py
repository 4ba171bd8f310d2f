"""A search as plain data, read from its run folder.

The journal is opened read-only, so that a running search can have a report too. Other modules
compute the statistics and draw the charts. This module must not import Hydra.
"""

from collections.abc import Collection, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from lightning_nas.architecture import Architecture, from_json
from lightning_nas.errors import InputError
from lightning_nas.evaluation.budget import COSTS, pareto_front
from lightning_nas.layers.operations import register_operations
from lightning_nas.report.checks import check_settings, check_trials
from lightning_nas.report.metrics import read_curve
from lightning_nas.report.recorded_space import build_space
from lightning_nas.search.result import RankedArchitecture, decode_trials
from lightning_nas.spaces.base import Space
from lightning_nas.storage.run_folder import COMPLETE, INTERRUPTED, RunFolder, shell_path
from lightning_nas.storage.trial import DERIVED, FINALIST, POLICY, RANDOM, Proposal, Trial, best_of
from lightning_nas.trust import check_recorded

TOP = 10
ENTROPY_SHARE = 0.1  # of the samples of a controller, for its entropy at the start and at the end
# Class paths that mark a random search or a benchmark table: older run folders have no other mark.
UNIFORM_CONTROLLER = "lightning_nas.controllers.uniform.UniformController"
TABULAR_BENCHMARK = "lightning_nas.evaluation.tabular.TabularBenchmark"
Tokens = tuple[int, ...]


class NoTrialsError(InputError):
    """Error of a search in which no trial has ended, or of a training without an epoch."""

    def __init__(self, folder: Path, what: str = "a search without trials") -> None:
        super().__init__(f"{folder}: {what}; there is nothing to report yet")


@dataclass(frozen=True)
class RunRecord:
    """A search, finished or not.

    Args:
        folder: The run folder.
        configuration: The whole configuration as YAML text.
        config: The configuration as a dictionary, with the settings of the last resume. References
            such as ``${layers}`` are not resolved.
        summary: Content of ``summary.json``; empty if the file does not exist yet.
        space: The search space.
        trials: Trials that ended, sorted by the time of their end.
        texts: JSON of each architecture that was evaluated separately, by tokens.
        metrics: Rows of ``metrics.csv`` without their empty values.
        shares_weights: Whether the architectures share weights, as in ENAS.
        chosen: Trial numbers of the best architectures in the final ranking of the method, best
            first; None before the end of the search.
        judgement: Content of ``weight_sharing.json``; empty if the search was not judged.
        entropies: Samples of the controller's entropy in nats, at the start and at the end of the
            search; both empty if the method has no controller.
    """

    folder: Path
    configuration: str
    config: Mapping[str, Any]
    summary: Mapping[str, Any]
    space: Space
    trials: tuple[Trial, ...]
    texts: Mapping[Tokens, str]
    metrics: tuple[Mapping[str, float], ...]
    shares_weights: bool
    chosen: Sequence[int] | None
    judgement: Mapping[str, Any]
    entropies: tuple[Sequence[float], Sequence[float]]

    @property
    def name(self) -> str:
        """Name of the experiment."""
        return str(self.config.get("name", self.folder.name))

    @property
    def method(self) -> str:
        """Short name of the method."""
        return str(self.summary.get("method") or self.config.get("method_name", "search"))

    @property
    def seed(self) -> Any:
        """Seed of the search."""
        return self.config.get("seed")

    @property
    def evaluation_count(self) -> int:
        """Number of evaluations in all arms, without the trials that copied an outcome."""
        return sum(trial.same_as is None for trial in self.trials)

    @property
    def repeat_count(self) -> int:
        """Number of trials that copied the outcome of an earlier trial."""
        return len(self.trials) - self.evaluation_count

    @property
    def is_random_search(self) -> bool:
        """Whether the method, not only the random arm, samples architectures uniformly."""
        controller = (self.config["method"].get("controller") or {}).get("controller")
        if isinstance(controller, str):  # an unresolved reference, ${controller}
            controller = self.config.get("controller")
        target = (controller or {}).get("_target_")
        return self.method == "random_search" or target == UNIFORM_CONTROLLER

    @property
    def reads_table(self) -> bool:
        """Whether outcomes, including training times, come from the table of a benchmark."""
        return (self.config.get("evaluation") or {}).get("_target_") == TABULAR_BENCHMARK

    @property
    def has_growing_space(self) -> bool:
        """Whether the space grows during the search."""
        return self.config["method"].get("grow_every") is not None

    @property
    def partial_reason(self) -> str:
        """Reason why the search is incomplete; empty if the search is complete."""
        if self.summary.get("status") == INTERRUPTED:
            return "the search was interrupted"
        if not self.summary:
            return "the search has not ended: it is still running, or it was killed"
        if self.config.get("finish"):
            return "the search was ended early (finish=true)"
        return ""

    @property
    def train_command(self) -> str:
        """Command that trains the chosen architecture."""
        return f"python train.py architecture={shell_path(self.folder)}"

    @property
    def resume_command(self) -> str:
        """Command that resumes the search."""
        return f"python search.py resume={shell_path(self.folder)}"

    def select_arms(self, *arms: str) -> tuple[Trial, ...]:
        """Return the trials of the given arms."""
        return tuple(trial for trial in self.trials if trial.proposal.arm in arms)

    def read_curve(self, metric: str) -> tuple[list[float], list[float]]:
        """Return the epochs (from 1) and values of a metric; empty lists for an unlogged metric."""
        return read_curve(self.metrics, metric)

    def decode(self, proposal: Proposal) -> Architecture:
        """Return the architecture of a proposal.

        Architectures are decoded on demand: a search may have hundreds of thousands of trials.
        """
        text = self.texts.get(proposal.tokens)
        journal = RunFolder(self.folder).journal
        if text is not None:
            return from_json(text, str(journal))
        try:
            return self.space.decode(proposal.tokens)
        except (IndexError, KeyError, ValueError) as error:
            raise InputError(f"{journal}: trial {proposal.number} is not of the space") from error

    @property
    def budget(self) -> dict[str, Any]:
        """Settings of the budget; may be empty."""
        return self.config["method"].get("budget") or {}

    @property
    def cost(self) -> str:
        """Cost in the Pareto front: ``parameters``, ``multiply_adds`` or ``latency``."""
        return self.budget.get("cost") or COSTS[0]

    @property
    def target(self) -> float | None:
        """Target of the budget; None without a budget."""
        return self.budget.get("target") if self.budget.get("cost") else None

    @cached_property
    def front(self) -> tuple[RankedArchitecture, ...]:
        """Pareto front of accuracy and cost, by rising cost; empty for shared weights."""
        if self.shares_weights:
            return ()
        trials = [trial for trial in self.trials if trial.proposal.arm != FINALIST]
        return decode_trials(pareto_front(trials, self.cost), self.decode)

    @cached_property
    def best(self) -> tuple[RankedArchitecture, ...]:
        """The best architectures, at most ten: first the final ranking, then other trials.

        Before the end of a search, the finalists so far replace the final ranking. The other trials
        are the derived architectures. A search without derived architectures uses the trials of
        the method and, unless weights are shared, of the random arm.
        """
        valid = [t for t in self.trials if t.outcome.error is None and t.same_as is None]
        if self.chosen is None:
            first = best_of((t for t in valid if t.proposal.arm == FINALIST), TOP)
        else:
            by_number = {trial.number: trial for trial in valid}
            first = [by_number[number] for number in self.chosen if number in by_number]
        others = [t for t in valid if t.proposal.arm == DERIVED]
        if not others:
            arms = (POLICY,) if self.shares_weights else (POLICY, RANDOM)
            others = [t for t in valid if t.proposal.arm in arms]
        tokens = {trial.proposal.tokens for trial in first}
        rest = [t for t in best_of(others, 2 * TOP) if t.proposal.tokens not in tokens]
        return decode_trials([*first, *rest][:TOP], self.decode)


def read_run(folder: Path, named: Collection[str] = ()) -> RunRecord:
    """Read the run folder of a search.

    Args:
        folder: The run folder.
        named: Classes outside of this package that the configuration may name (``trust.py``).

    Raises:
        InputError: If the folder is not the run folder of a search, if a file is damaged, or if its
            space or an operation is not trusted.
        NoTrialsError: If no trial has ended yet.
    """
    run = RunFolder(folder)
    configuration, config = _read_settings(run)
    if "space" not in config:
        raise InputError(f"{folder}: the folder of a training; only a search has a report")
    for group in ("operations", "space"):
        check_recorded(config, run.config, named, group)
    check_settings(config, run.config)
    register_operations(config.get("operations"))  # before the space looks up operation names
    space = build_space(config, run.config)
    trials, written, entropies = _read_trials(run)
    summary = run.read_summary()
    texts = {
        trial.proposal.tokens: text
        for trial, text in zip(trials, written, strict=True)
        if text is not None
    }
    shares_weights = all(
        text is None
        for trial, text in zip(trials, written, strict=True)
        if trial.proposal.arm != FINALIST
    )
    check_trials(trials, shares_weights, config, run.journal)
    return RunRecord(
        folder=folder,
        configuration=configuration,
        config=config,
        summary=summary,
        space=space,
        trials=tuple(trials),
        texts=texts,
        metrics=tuple(run.read_metrics()),
        shares_weights=shares_weights,
        chosen=run.read_chosen() if summary.get("status") == COMPLETE else None,
        judgement=run.read_judgement(),
        entropies=entropies,
    )


def _read_settings(run: RunFolder) -> tuple[str, dict[str, Any]]:
    """Return the configuration, with the settings of the last resume, as text and dictionary."""
    text, config = run.read_config()
    resume_settings = run.read_resume_settings()
    if not resume_settings:
        return text, config
    try:
        merged = OmegaConf.merge(config, OmegaConf.from_dotlist(resume_settings))
    except (ValueError, OmegaConfBaseException, YAMLError) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{run.resume_settings}: damaged: {reason}") from None
    settings: Any = OmegaConf.to_container(merged, resolve=False)
    return f"# resumed with: {' '.join(resume_settings)}\n{text}", settings


def _read_trials(
    run: RunFolder,
) -> tuple[list[Trial], list[str | None], tuple[list[float], list[float]]]:
    """Return the trials that ended, the JSON of their architectures, and samples of the entropy."""
    if run.journal.exists():
        with closing(run.open_journal()) as journal:
            trials = [] if journal.is_empty else journal.list_ended()
            if trials:
                entropies = journal.sample_entropies(ENTROPY_SHARE)
                return trials, list(journal.architectures()), entropies
    raise NoTrialsError(run.path)
