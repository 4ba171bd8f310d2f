"""The measurements of a dry run: a few steps or children of a search, for ``estimate.py``."""

import statistics
from typing import Any

import pytorch_lightning as pl

from lightning_nas.search import estimate
from lightning_nas.search.processes import check_precision

TIMED_CHILDREN = 3  # children that are trained for a few batches


def estimate_trial_search(search: Any) -> dict[str, str]:
    """Train a few children for a few batches and return the lines of the dry run.

    The children come from the beginning, the middle and the end of the search, because a growing
    space has larger children at the end.

    Args:
        search: A ``TrialSearch``.
    """
    total = search.sampling.samples
    lines = {
        "space": estimate.format_size(search.space_at(total - 1).size),
        "architectures": f"{total:,}",
    }
    if not hasattr(search.evaluator, "steps_of"):
        return lines | {"whole search": "a few seconds: the evaluator reads a table"}
    executor = search.make_executor(search.evaluator)
    distance = max(1, total // TIMED_CHILDREN)
    numbers = range(distance // 2, total, distance)[:TIMED_CHILDREN]
    children = [search.decode(proposal) for proposal in search.propose(numbers)]
    return lines | estimate.estimate_children(
        search.evaluator, executor, children, total, search.finalists
    )


def estimate_shared_search(search: Any, trainer: pl.Trainer, samples: int) -> dict[str, str]:
    """Time a few steps of each phase and return the lines of the dry run. The weights change.

    Args:
        search: A ``SharedSearch``.
        trainer: Trainer of the search.
        samples: Number of architectures to sample in ``derive``, at least 1.
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
    assert trainer.max_epochs is not None
    finalists = {}
    if search.finalists.count and search.evaluator is not None:
        seconds, words = estimate_trainings(search, search.finalists.count, search.finalists.epochs)
        finalists["finalists"] = f"{estimate.format_duration(seconds)} more: {words}"
    parameters = sum(one.numel() for one in search.parameters())
    return {
        "space": estimate.format_size(search.space.size),
        "parameters": f"{parameters:,} to train, of the shared weights and the controller",
        **estimate.estimate_epochs(timings, precisions, trainer.max_epochs, samples, device),
        **finalists,
    }


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
