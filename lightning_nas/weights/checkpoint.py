"""Facts in a checkpoint about its network, and the check that a checkpoint fits a module."""

from collections.abc import Mapping
from typing import Any

from torch import nn

from lightning_nas.errors import InputError

KEY = "made_for"
BLUEPRINT = "blueprint"  # key of the blueprint in a checkpoint, as JSON text
ADVICE = "use the settings that the run started with, or start a new run"


def add_facts(checkpoint: dict[str, Any], **facts: str | int) -> None:
    """Write facts about the run into a checkpoint, for ``check_checkpoint``."""
    checkpoint[KEY] = facts


def check_checkpoint(checkpoint: Mapping[str, Any], module: nn.Module, **facts: str | int) -> None:
    """Check that a checkpoint fits a module, before torch would list all of its tensors.

    Args:
        checkpoint: Checkpoint as Lightning loads it.
        module: Module that will load the ``state_dict``.
        facts: The same facts as in ``add_facts``; they are compared first.

    Raises:
        InputError: If a fact, a name or a shape of a tensor differs. The message names the first.
    """
    for name, here in facts.items():
        there = checkpoint.get(KEY, {}).get(name)
        if there != here:
            raise InputError(
                f"the checkpoint has {name}: {there}; this run has {name}: {here}; {ADVICE}"
            )
    saved, own = checkpoint["state_dict"], module.state_dict()
    for name in sorted(saved.keys() ^ own.keys()):
        where = "this run's network" if name in saved else "the checkpoint"
        raise InputError(f"the checkpoint is of another network: {where} has no {name}; {ADVICE}")
    for name, tensor in own.items():
        if saved[name].shape != tensor.shape:
            raise InputError(
                f"the checkpoint is of another network: {name} is {list(saved[name].shape)} there "
                f"and {list(tensor.shape)} here; {ADVICE}"
            )
