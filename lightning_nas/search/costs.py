"""What the best architectures of shared weights cost as networks of their own."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace

import torch

from lightning_nas.architecture import Architecture
from lightning_nas.errors import InputError
from lightning_nas.evaluation.child_training import ChildTraining
from lightning_nas.storage.trial import Proposal, Trial, best_of

log = logging.getLogger(__name__)
COUNTED = 10  # of the best; each is built for it


def add_costs(
    trials: Sequence[Trial],
    decode: Callable[[Proposal], Architecture],
    training: ChildTraining,
) -> list[Trial]:
    """Return trials, the best with the parameters and multiply-adds of their networks.

    No random number is used up.

    Args:
        trials: With outcomes that know no cost.
        decode: From a proposal to its architecture.
        training: Says how large the networks are, and on which images.
    """
    best = {trial.number for trial in best_of(trials, COUNTED)}
    with torch.random.fork_rng(devices=[]):
        return [
            _with_cost(trial, training, decode(trial.proposal)) if trial.number in best else trial
            for trial in trials
        ]


def _with_cost(trial: Trial, training: ChildTraining, architecture: Architecture) -> Trial:
    try:
        cost = training.cost(architecture)
    except InputError as error:  # of settings that the search itself does not need
        log.warning("what trial %d costs to train is not known: %s", trial.number, error)
        return trial
    outcome = replace(trial.outcome, parameters=cost.parameters, multiply_adds=cost.multiply_adds)
    return replace(trial, outcome=outcome)
