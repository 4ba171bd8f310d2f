"""The judge of an ENAS search: do the shared weights rank architectures correctly?

The judge trains architectures from scratch and compares their accuracies with the accuracies under
the shared weights. It writes ``weight_sharing.json`` and plots into the run folder.
"""

import copy
import itertools
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict
from typing import Any

from tqdm import tqdm

from lightning_nas.callbacks.interrupt import StopAtStep, interruptible
from lightning_nas.controllers.uniform import UniformController
from lightning_nas.errors import InputError, explain_settings
from lightning_nas.evaluation.child_training import ChildTraining
from lightning_nas.evaluation.executors import Evaluator, Executor, Poll
from lightning_nas.evaluation.tabular import EPOCHS as TABLE_EPOCHS
from lightning_nas.evaluation.tabular import TabularBenchmark
from lightning_nas.files import write_json
from lightning_nas.judge.facts import (
    ArchitectureScores,
    collect_facts,
    format_facts,
)
from lightning_nas.judge.finished_search import (
    FinishedSearch,
    open_search,
    sample_tokens,
    score_architectures,
)
from lightning_nas.judge.numbers import Numbers, choose_numbers
from lightning_nas.judge.scatter import draw_scatter
from lightning_nas.judge.uniform_weights import score_with_uniform_weights
from lightning_nas.report.judged import TABLE, TEST_IMAGES
from lightning_nas.report.statistics import MIN_ARCHITECTURES
from lightning_nas.run.search import print_verdict
from lightning_nas.run.session import write_report_safely
from lightning_nas.search.standalone import Candidate, Trainings
from lightning_nas.storage.journal import Journal
from lightning_nas.storage.run_folder import RunFolder, describe_state, display_path
from lightning_nas.storage.trial import DERIVED, POLICY, RANDOM, Trial

EVALUATION = "evaluation."  # prefix of the settings that change outcomes
EPOCHS = "evaluation.epochs="
TIME_LIMIT = "evaluation.time_limit="  # seconds, for a training of evaluation.epochs epochs
ADVICE = "move judged.sqlite away, or use the settings of the first judge command"


def judge_run(
    run: str,
    options: Mapping[str, int | None],
    settings: Sequence[str],
    announce_data: bool = True,
) -> dict[str, Any]:
    """Judge the shared weights of a run; write the results and the report, return the results.

    Args:
        run: The run folder.
        options: Numbers of trainings by name (``Numbers``). An option that is missing or None has
            the value that the search recorded, else the default.
        settings: Settings ``name=value`` of the trainings.
        announce_data: Whether to print what was read of the data.

    Raises:
        InputError: If the run cannot be judged, or a number or a setting is out of range.
    """
    epochs, settings = _split_epochs(options.get("epochs"), settings)
    folder = RunFolder(run)
    recorded = folder.read_config()[1].get("judge") if folder.is_run else None
    numbers = choose_numbers(recorded, {**options, "epochs": epochs})
    epochs = numbers.epochs
    # final() scales the time limit by epochs / evaluation.epochs: set both, so the factor is 1
    has_time_limit = epochs is not None and any(one.startswith(TIME_LIMIT) for one in settings)
    all_settings = [*settings, f"{EPOCHS}{epochs}"] if has_time_limit else settings
    search = open_search(folder.path, all_settings, announce_data)
    evaluator = search.method.evaluator
    assert evaluator is not None
    place = _find_place(search, evaluator)
    epochs = TABLE_EPOCHS if place else epochs or int(search.cfg.evaluation.epochs)
    candidates = choose_candidates(search, numbers)
    with poll_signals(search) as poll:
        trials = _train_candidates(search, evaluator, candidates, epochs, settings, poll)
        shared_scores = score_architectures(
            search, [one.tokens for one in candidates], numbers.batches, poll
        )
        uniform_weights = (
            score_with_uniform_weights(search, numbers.uniform_epochs, poll)
            if numbers.uniform_epochs
            else None
        )
    facts = {
        "run": str(display_path(search.run.path)),
        "epochs": epochs,
        "images": TABLE if place else TEST_IMAGES,
        "seed": search.cfg.seed,
        "settings": sorted(settings),
        "search": describe_state(search.summary),
        "running_statistics": "tracked"
        if search.has_running_statistics
        else f"gathered on {numbers.batches}",
        **collect_facts(_join_scores(candidates, shared_scores, trials)),
        "uniform_weights": uniform_weights,
        "table": place,
        "failed": [
            {"arm": candidate.arm, "tokens": candidate.tokens, "error": trial.outcome.error}
            for candidate, its_trials in zip(candidates, trials, strict=True)
            for trial in its_trials
            if trial.outcome.error is not None
        ],
    }
    _write_facts(facts, search.run)
    write_report_safely(search.run.path)
    return facts


def print_judgement(run: str, facts: Mapping[str, Any]) -> None:
    """Print the results of the judge, the paths of its files and the verdict on the search."""
    folder = RunFolder(run)
    paths = {"figures": folder.judgement, "picture": folder.judgement.with_suffix(".svg"),
             "report": folder.report}  # fmt: skip
    lines = "\n".join(f"{name:<14}{display_path(path)}" for name, path in paths.items())
    print(f"\n{format_facts(facts)}\n\n{lines}")
    print_verdict(folder.path)


def _split_epochs(option: int | None, settings: Sequence[str]) -> tuple[int | None, list[str]]:
    """Return the number of epochs, from the option or a setting, and the other settings."""
    values = {one.removeprefix(EPOCHS) for one in settings if one.startswith(EPOCHS)}
    values |= set() if option is None else {str(option)}
    if len(values) > 1:
        raise InputError(
            f"--epochs and {EPOCHS[:-1]} differ: {', '.join(sorted(values))}; give one"
        )
    others = [one for one in settings if not one.startswith(EPOCHS)]
    try:
        return (int(values.pop()) if values else None), others
    except ValueError as error:
        raise InputError(f"{EPOCHS[:-1]} must be a whole number: {error}") from None


def choose_candidates(search: FinishedSearch, numbers: Numbers) -> list[Candidate]:
    """Return the architectures to judge.

    A larger ``architectures`` or ``sampled`` only adds architectures; the others stay the same.
    """
    controller = search.method.controller
    policies = (
        (RANDOM, UniformController(controller.space), numbers.architectures),
        (POLICY, copy.deepcopy(controller.controller).cpu(), numbers.sampled),
    )
    samples = [
        Candidate(arm, sample_tokens(policy, arm, search.cfg.seed, number), numbers.seeds)
        for arm, policy, count in policies
        for number in range(count)
    ]
    derived = controller.space.encode(search.load_derived())
    return [*samples, Candidate(DERIVED, derived, numbers.derived_seeds)]


def _train_candidates(
    search: FinishedSearch,
    evaluator: Evaluator,
    candidates: Sequence[Candidate],
    epochs: int,
    settings: Sequence[str],
    poll: Poll,
) -> list[list[Trial]]:
    """Train the candidates from scratch and return the trials of each candidate."""
    space = search.method.controller.space
    evaluation_settings = [one for one in settings if one.startswith(EVALUATION)]
    images = f"{TEST_IMAGES} images"  # the images of the rewards would favour the derived one
    training = " ".join([f"{epochs} epochs", images, *sorted(evaluation_settings)])
    journal_arguments = (search.run.judge_journal, str(space), "judge")
    with (
        # before the journal: wrong settings must leave no file
        closing(_build_executor(search, evaluator.final(epochs).on_test_images())) as executor,
        closing(Journal(*journal_arguments, advice=ADVICE, training=training)) as journal,
    ):
        trainings = Trainings(candidates, journal, search.cfg.seed)
        earlier, total = trainings.ended, len(trainings)
        with tqdm(desc="Training", total=total, initial=earlier, file=sys.stderr) as bar:

            def show_progress(trial: Trial) -> None:
                bar.update(trial.order > earlier)

            return trainings.run(
                lambda proposal: space.decode(proposal.tokens),
                executor,
                observe=show_progress,
                poll=poll,
            )


def _build_executor(search: FinishedSearch, evaluator: Evaluator) -> Executor:
    """Return the executor for the trainings.

    Raises:
        InputError: If the executor or the network cannot use a setting.
    """
    assert search.method.make_executor is not None
    with explain_settings("evaluation"):
        if isinstance(evaluator, ChildTraining):
            evaluator.cost(search.load_derived())  # the network checks its settings
        return search.method.make_executor(evaluator)


def _find_place(search: FinishedSearch, evaluator: Evaluator) -> dict[str, Any] | None:
    """Return the place of the derived architecture among all; None without a table."""
    if not isinstance(evaluator, TabularBenchmark):
        return None
    return asdict(evaluator.find_place(search.load_derived()))


def _join_scores(
    candidates: Sequence[Candidate],
    shared_scores: Sequence[dict[str, float]],
    trials: Sequence[Sequence[Trial]],
) -> list[ArchitectureScores]:
    """Return the scores of all candidates with at least one training that succeeded.

    Raises:
        InputError: If too few architectures of the random arm have a training that succeeded, or
            the derived architecture has none.
    """
    scores = []
    for candidate, accuracies, its_trials in zip(candidates, shared_scores, trials, strict=True):
        outcomes = [trial.outcome for trial in its_trials if trial.outcome.error is None]
        if outcomes:
            from_scratch = tuple(outcome.accuracies[-1] for outcome in outcomes)
            arm, tokens, parameters = candidate.arm, candidate.tokens, outcomes[0].parameters
            scores.append(ArchitectureScores(arm, tokens, accuracies, from_scratch, parameters))
    arms = [one.arm for one in scores]
    if arms.count(RANDOM) < MIN_ARCHITECTURES or DERIVED not in arms:
        first = next(t.outcome.error for t in itertools.chain(*trials) if t.outcome.error)
        raise InputError(
            f"too many trainings failed; the first error: {first}; to repeat the failed trainings, "
            "run the same command again"
        )
    return scores


def _write_facts(facts: dict[str, Any], run: RunFolder) -> None:
    """Write the facts and their plot."""
    try:
        write_json(run.judgement, facts, indent=1)
        for suffix in (".svg", ".png"):
            draw_scatter(facts, run.judgement.with_suffix(suffix))
    except OSError as error:
        raise InputError(f"{run}: cannot write into this folder ({error.strerror})") from None


@contextmanager
def poll_signals(search: FinishedSearch) -> Iterator[Poll]:
    """Yield a function that raises ``Interrupted`` if SIGINT or SIGTERM has arrived.

    The signal may also end the worker processes that load images. In this case ``Interrupted``
    replaces the error of the workers.
    """
    stop = StopAtStep()
    search.trainer.callbacks.append(stop)  # type: ignore[attr-defined]
    stop.setup(search.trainer, search.method, "fit")
    try:
        with interruptible(search.trainer):
            yield lambda: stop.stop_if_asked(search.trainer)
    finally:
        stop.teardown(search.trainer, search.method, "fit")
