"""Checks of what a report reads from a run folder: files that a stranger may have written."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, ValidationError

from lightning_nas.errors import InputError
from lightning_nas.files import find_first_problem
from lightning_nas.storage.trial import Trial


class _Budget(BaseModel):
    cost: Literal["parameters", "multiply_adds", "latency"] | None = None
    target: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    exponent: float = 0.0


class _Method(BaseModel):
    controller: dict[str, Any] | str | None = None
    controller_steps: int = 0
    budget: _Budget | None = None


class _Settings(BaseModel):
    """Types of the settings that a report uses."""

    method: _Method
    space: dict[str, Any]
    name: str | int | float = ""
    method_name: str = ""
    seed: int = 0
    controller: dict[str, Any] | None = None
    evaluation: dict[str, Any] | None = None


def check_settings(config: Mapping[str, Any], path: Path) -> None:
    """Raise InputError if a setting that a report uses is of a wrong type.

    Args:
        config: The configuration of a search.
        path: File of the configuration, for the message.
    """
    try:
        _Settings.model_validate(config)
    except ValidationError as error:
        name, problem = find_first_problem(error)
        raise InputError(f"{path}: {name}: {problem.lower()}") from None


def check_trials(
    trials: Sequence[Trial], shares_weights: bool, config: Mapping[str, Any], path: Path
) -> None:
    """Raise InputError if the trials of a journal contradict each other or the configuration.

    Args:
        trials: All trials that ended.
        shares_weights: Whether the journal holds no architectures, as with shared weights.
        config: The configuration of the search.
        path: File of the journal, for the message.
    """
    evaluated = {trial.number for trial in trials if trial.same_as is None}
    for trial in trials:
        if trial.same_as is not None and trial.same_as not in evaluated:
            raise InputError(
                f"{path}: damaged: trial {trial.number} copies trial {trial.same_as}, which was "
                "not evaluated"
            )
    if shares_weights and "controller_steps" not in config["method"]:
        raise InputError(f"{path}: damaged: it has no architectures")
