"""The measurements of a dry run: a few steps or children of a search, for ``estimate.py``."""

import statistics
from typing import Any

import pytorch_lightning as pl
import torch

from lightning_nas.evaluation.child_steps import ChildSteps
from lightning_nas.evaluation.rungs import find_rungs
from lightning_nas.search import estimate
from lightning_nas.search.processes import check_precision

TIMED_CHILDREN = 3  # children that are trained for a few batches


def estimate_trial_search(search: Any) -> dict[str, str]:
    """Train a few children for a few batches and return the lines of the dry run.

    Args:
        search: A ``TrialSearch``.
    """
    total = search.sampling.samples
    lines = {
        "space": estimate.format_size(search.space_at(total - 1).size),
        "architectures": f"{total:,}",
    }
    if not trains_children(search):
        return lines | {"whole search": "a few seconds: the evaluator reads a table"}
    children, slots = time_children(search)
    rungs = find_rungs(search.evaluator)
    return lines | estimate.estimate_children(children, slots, total, search.finalists, rungs)


def trains_children(search: Any) -> bool:
    """Return whether the evaluator of a search trains children, and can time them."""
    return hasattr(search.evaluator, "steps_of")


def time_children(search: Any) -> tuple[list[ChildSteps], int]:
    """Train a few children of a search for a few batches.

    The children come from the beginning, the middle and the end of the search, because a growing
    space has larger children at the end.

    Args:
        search: A ``TrialSearch`` that trains children.

    Returns:
        The costs of the children, and the number of children that train at once.
    """
    total = search.sampling.samples
    distance = max(1, total // TIMED_CHILDREN)
    numbers = range(distance // 2, total, distance)[:TIMED_CHILDREN]
    architectures = [search.decode(proposal) for proposal in search.propose(numbers)]
    executor = search.make_executor(search.evaluator)
    executor.close()
    if executor.threads and not search.evaluator.threads:
        torch.set_num_threads(executor.threads)
    return [search.evaluator.steps_of(one) for one in architectures], executor.slots


def estimate_shared_search(search: Any, trainer: pl.Trainer, samples: int) -> dict[str, str]:
    """Time a few steps of each phase and return the lines of the dry run. The weights change.

    Args:
        search: A ``SharedSearch``.
        trainer: Trainer of the search.
        samples: Number of architectures to sample in ``derive``, at least 1.
    """
    timings, precisions = time_phases(search, trainer)
    device = trainer.strategy.root_device
    assert trainer.max_epochs is not None
    finalists = {}
    if search.finalists.count and search.evaluator is not None:
        trainings, epochs = search.finalists.trainings, search.finalists.epochs
        seconds, words = estimate_trainings(search, trainings, epochs)
        finalists["finalists"] = f"{estimate.format_duration(seconds)} more: {words}"
    parameters = sum(one.numel() for one in search.parameters())
    return {
        "space": estimate.format_size(search.space.size),
        "parameters": f"{parameters:,} to train, of the shared weights and the controller",
        **estimate.estimate_epochs(timings, precisions, trainer.max_epochs, samples, device),
        **finalists,
    }


def time_phases(
    search: Any, trainer: pl.Trainer
) -> tuple[dict[str, estimate.Timing], dict[str, float]]:
    """Time a few steps of each phase of a search with shared weights. The weights change.

    Args:
        search: A ``SharedSearch``.
        trainer: Trainer of the search.

    Returns:
        Seconds of a step and steps in an epoch, by phase; and the seconds of a weights step by
        precision.
    """
    check_precision(trainer)
    device = trainer.strategy.root_device
    trainer.precision_plugin.convert_module(search)
    search.to(device)
    search.trainer = trainer
    search.setup("fit")
    with trainer.precision_plugin.forward_context():
        epoch, validation = search.train_dataloader(), search.val_dataloader()
        search.load_calibration_images()
        loaders: list[Any] = [epoch.weights, epoch.controller, validation]
        batches = [search.cast(next(iter(loader))) for loader in loaders]
        counts = [
            len(epoch.weights),
            search.random_steps,
            search.controller_steps,
            len(validation),
        ]
        steps = estimate.list_steps(search.supernet, search.controller, search.random_arm, *batches)
        timings = estimate.time_steps(steps, counts, device)
        precisions = estimate.time_precisions(steps["weights"], device, trainer.precision)
    return timings, precisions


def estimate_trainings(search: Any, count: int, epochs: int | None) -> tuple[float, str]:
    """Time a few batches of a few random children of a search with shared weights.

    Args:
        search: A ``SharedSearch`` with an evaluator.
        count: Number of trainings.
        epochs: Epochs of a training; None = those of the evaluator.

    Returns:
        The seconds of all trainings together, and their description.
    """
    evaluator = search.evaluator if epochs is None else search.evaluator.final(epochs)
    if not hasattr(evaluator, "steps_of"):
        return 0.0, f"{count} rows of a table"
    _, architectures = search.random_arm.sample(0, 0, 0)
    children = [evaluator.steps_of(one) for one in architectures[:TIMED_CHILDREN]]
    seconds = count * statistics.fmean(child.seconds for child in children)
    return seconds, f"{count} trainings of {children[0].epochs} epochs"
