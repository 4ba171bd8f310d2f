"""Whether a checkpoint is one of this very network, said before torch lists all its tensors."""

from collections.abc import Mapping
from typing import Any

from torch import nn

from lightning_nas.errors import InputError

KEY = "made_for"
BLUEPRINT = "blueprint"  # where a checkpoint says how its network is built, as text
ADVICE = "give the run the settings that it began with, or begin a new one"


def add_facts(checkpoint: dict[str, Any], **facts: str | int) -> None:
    """Write into a checkpoint what it was made for."""
    checkpoint[KEY] = facts


def check_checkpoint(checkpoint: Mapping[str, Any], module: nn.Module, **facts: str | int) -> None:
    """Compare a checkpoint with what it is to be loaded into.

    Args:
        checkpoint: As Lightning loads it.
        module: What takes its ``state_dict``.
        facts: As given to ``note``: what a user would look at first.

    Raises:
        InputError: If a fact differs, or the name or the shape of a tensor; it is named.
    """
    for name, here in facts.items():
        there = checkpoint.get(KEY, {}).get(name)
        if there != here:
            raise InputError(f"the checkpoint's {name}: {there}; this run's: {here}; {ADVICE}")
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
