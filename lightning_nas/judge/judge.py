"""From the run folder of an ENAS search to ``weight_sharing.json`` and its pictures."""

import copy
import itertools
import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from tqdm import tqdm

from lightning_nas.callbacks.interrupt import StopAtStep, interruptible
from lightning_nas.controllers.uniform import UniformController
from lightning_nas.errors import InputError
from lightning_nas.evaluation.child_training import ChildTraining
from lightning_nas.evaluation.executors import Executor, Poll
from lightning_nas.files import replace_text
from lightning_nas.judge.correlation import FEWEST
from lightning_nas.judge.facts import (
    JudgedArchitecture,
    collect_facts,
    describe_state,
    format_facts,
)
from lightning_nas.judge.opened_search import (
    OpenedSearch,
    draw_tokens,
    open_search,
    score_architectures,
)
from lightning_nas.judge.scatter import draw_scatter
from lightning_nas.report.html import NAME as REPORT
from lightning_nas.run.session import write_report_safely
from lightning_nas.search.standalone import Candidate, Trainings
from lightning_nas.storage.journal import Journal
from lightning_nas.storage.run_folder import display_path
from lightning_nas.storage.trial import DERIVED, POLICY, RANDOM, Trial

NAME = "weight_sharing"
OF_TRAININGS = "evaluation."  # which the outcomes depend on
EPOCHS = "evaluation.epochs="
TIME_LIMIT = "evaluation.time_limit="  # of a training of ``evaluation.epochs``
ADVICE = "move judged.sqlite away, or give the settings that it began with"


def judge_run(
    run: str,
    architectures: int,
    sampled: int,
    seeds: int,
    derived_seeds: int | None,
    epochs: int | None,
    batches: int,
    settings: Sequence[str],
) -> None:
    """Judge the weights of a run, write the files and print what came out.

    Args:
        run: The run folder.
        architectures: Drawn uniformly, at least 3.
        sampled: Drawn by the controller.
        seeds: Trainings of each.
        derived_seeds: Trainings of the derived one; None = as of the others.
        epochs: Of a training; None = ``evaluation.epochs``, of the settings or else of the search.
        batches: On which running statistics are gathered, where none were tracked.
        settings: ``name=value``, of the trainings.

    Raises:
        InputError: If the run cannot be judged, or a number or a setting is out of range.
    """
    derived_seeds = seeds if derived_seeds is None else derived_seeds
    epochs, settings = _budget(epochs, settings)
    if architectures < FEWEST:
        raise InputError(f"--architectures must be at least {FEWEST}, got {architectures}")
    if sampled < 0 or min(seeds, derived_seeds, batches, 1 if epochs is None else epochs) < 1:
        raise InputError(
            "--sampled must be at least 0, --seeds, --derived-seeds, --epochs and --batches at "
            f"least 1, got {sampled}, {seeds}, {derived_seeds}, {epochs} and {batches}"
        )
    limited = epochs is not None and any(one.startswith(TIME_LIMIT) for one in settings)
    searched = open_search(Path(run), [*settings, f"{EPOCHS}{epochs}"] if limited else settings)
    epochs = epochs or int(searched.cfg.evaluation.epochs)
    candidates = choose_candidates(searched, architectures, sampled, seeds, derived_seeds)
    with _stopping(searched) as poll:
        trials = _train(searched, candidates, epochs, settings, poll)
        shared = score_architectures(searched, [one.tokens for one in candidates], batches, poll)
    facts = {
        "run": str(display_path(searched.run)),
        "epochs": epochs,
        "seed": searched.cfg.seed,
        "settings": sorted(settings),
        "search": describe_state(searched.summary),
        "running_statistics": "tracked" if searched.tracks else f"gathered on {batches}",
        **collect_facts(_judged(candidates, shared, trials)),
        "failed": _failed(candidates, trials),
    }
    print(f"\n{format_facts(facts)}\n\n{_write(facts, searched.run)}")
    write_report_safely(searched.run)  # which has a section of it
    print(f"{'report':<14}{display_path(searched.run / REPORT)}")


def _budget(option: int | None, settings: Sequence[str]) -> tuple[int | None, list[str]]:
    """Return the epochs of a training, whichever way they were given, and the other settings."""
    given = {one.removeprefix(EPOCHS) for one in settings if one.startswith(EPOCHS)}
    given |= set() if option is None else {str(option)}
    if len(given) > 1:
        raise InputError(f"--epochs and {EPOCHS[:-1]} are the same, got {', '.join(sorted(given))}")
    others = [one for one in settings if not one.startswith(EPOCHS)]
    try:
        return (int(given.pop()) if given else None), others
    except ValueError as error:
        raise InputError(f"{EPOCHS[:-1]} must be a whole number: {error}") from None


# ---- what is judged ------------------------------------------------------------------------------


def choose_candidates(
    searched: OpenedSearch, architectures: int, sampled: int, seeds: int, derived_seeds: int
) -> list[Candidate]:
    """Return the architectures to be judged; more of them begin with the same ones."""
    controller = searched.method.controller
    uniform = UniformController(controller.space)
    learnt = copy.deepcopy(controller.controller).cpu()
    sample = [
        Candidate(arm, draw_tokens(policy, arm, searched.cfg.seed, number), seeds)
        for arm, policy, count in (
            (RANDOM, uniform, architectures),
            (POLICY, learnt, sampled),
        )
        for number in range(count)
    ]
    return [*sample, Candidate(DERIVED, controller.space.encode(searched.derived), derived_seeds)]


# ---- from scratch --------------------------------------------------------------------------------


def _train(
    searched: OpenedSearch,
    candidates: Sequence[Candidate],
    epochs: int,
    settings: Sequence[str],
    poll: Poll,
) -> list[list[Trial]]:
    space = searched.method.controller.space
    given = [one for one in settings if one.startswith(OF_TRAININGS)]
    about = " ".join([f"{epochs} epochs", *sorted(given)])
    path = searched.run / "judged.sqlite"
    with (
        closing(_executor(searched, epochs)) as executor,  # before there is a journal
        closing(Journal(path, str(space), "judge", advice=ADVICE, training=about)) as journal,
    ):
        trainings = Trainings(candidates, journal, searched.cfg.seed)
        done = trainings.ended
        with tqdm(desc="Training", total=len(trainings), initial=done, file=sys.stderr) as bar:

            def show(trial: Trial) -> None:
                bar.update(trial.order > done)

            return trainings.run(
                lambda proposal: space.decode(proposal.tokens), executor, observe=show, poll=poll
            )


def _executor(searched: OpenedSearch, epochs: int) -> Executor:
    """Return what trains.

    Raises:
        InputError: If a setting is refused, by the network, too.
    """
    method = searched.method
    assert method.make_evaluator is not None
    assert method.make_executor is not None
    try:
        evaluator = method.make_evaluator(data=searched.data).final(epochs)
        if isinstance(evaluator, ChildTraining):
            evaluator.cost(searched.derived)
        return method.make_executor(evaluator)
    except (TypeError, ValueError) as error:  # as Hydra's, of what it makes
        raise InputError(" ".join(str(error).split())) from error


# ---- what came out -------------------------------------------------------------------------------


def _judged(
    candidates: Sequence[Candidate],
    shared: Sequence[dict[str, float]],
    trials: Sequence[Sequence[Trial]],
) -> list[JudgedArchitecture]:
    """Return all that could be trained.

    Raises:
        InputError: If too few of the uniform ones could, or the derived one could not.
    """
    judged = []
    for candidate, scores, trained in zip(candidates, shared, trials, strict=True):
        good = [trial.outcome for trial in trained if trial.outcome.error is None]
        if good:
            alone = tuple(outcome.accuracies[-1] for outcome in good)
            tokens, parameters = candidate.tokens, good[0].parameters
            judged.append(JudgedArchitecture(candidate.arm, tokens, scores, alone, parameters))
    arms = [one.arm for one in judged]
    if arms.count(RANDOM) < FEWEST or DERIVED not in arms:
        first = next(t.outcome.error for t in itertools.chain(*trials) if t.outcome.error)
        raise InputError(
            f"too few architectures could be trained; the first error: {first}; the same command "
            "gives them another turn"
        )
    return judged


def _failed(
    candidates: Sequence[Candidate], trials: Sequence[Sequence[Trial]]
) -> list[dict[str, Any]]:
    return [
        {"arm": candidate.arm, "tokens": candidate.tokens, "error": trial.outcome.error}
        for candidate, trained in zip(candidates, trials, strict=True)
        for trial in trained
        if trial.outcome.error is not None
    ]


def _write(facts: dict[str, Any], run: Path) -> str:
    """Write the facts and their pictures; return where they are, a line each."""
    paths = [run / f"{NAME}.{suffix}" for suffix in ("json", "svg", "png")]
    try:
        replace_text(paths[0], json.dumps(facts, indent=1) + "\n")
        for path in paths[1:]:
            draw_scatter(facts, path)
    except OSError as error:
        raise InputError(f"{run}: cannot be written into ({error.strerror})") from None
    names = ("figures", "picture", "")
    return "\n".join(f"{name:<14}{display_path(p)}" for name, p in zip(names, paths, strict=True))


@contextmanager
def _stopping(searched: OpenedSearch) -> Iterator[Poll]:
    """Yield what raises after a SIGINT or a SIGTERM, when it is called next.

    Processes that load images may have ended of the same signal: that is no error either.
    """
    stop = StopAtStep()
    searched.trainer.callbacks.append(stop)  # type: ignore[attr-defined]
    stop.setup(searched.trainer, searched.method, "fit")
    try:
        with interruptible(searched.trainer):
            yield lambda: stop.stop_if_asked(searched.trainer)
    finally:
        stop.teardown(searched.trainer, searched.method, "fit")
