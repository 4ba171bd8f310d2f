"""Types of what commands read in the files of a run folder."""

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, Field, ValidationError, model_validator

from lightning_nas.errors import InputError
from lightning_nas.files import find_first_problem

Accuracy = Annotated[float, Field(ge=0, le=1)]


class Summary(BaseModel):
    """Types of the facts in ``summary.json`` that commands read. Each may be absent."""

    status: Literal["interrupted", "complete"] = "interrupted"
    seconds: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    method: str = ""
    data: str = ""
    checkpoint: str | None = None
    classes: Annotated[int, Field(ge=1)] | None = None
    data_line: str = ""
    data_problems: list[str] = []
    sample_classes: list[str] = []
    largest_share: Accuracy | None = None
    test_accuracy: Accuracy | None = None
    epochs: Annotated[int, Field(ge=0)] | None = None
    parameters: Annotated[int, Field(ge=0)] | None = None
    searched_parameters: Annotated[int, Field(ge=0)] | None = None
    multiply_adds: Annotated[int, Field(ge=0)] | None = None
    images_per_second: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None


class _Mistake(BaseModel):
    label: Annotated[int, Field(ge=0)]
    predicted: Annotated[int, Field(ge=0)]
    probability: Accuracy
    path: str = ""  # of an image file, relative to data.root


class TestRecord(BaseModel):
    """Types of ``test.json``: what the test of a network found."""

    __test__ = False  # pytest takes the name for that of a test

    classes: Annotated[list[str], Field(min_length=2)]
    confusion: list[list[Annotated[int, Field(ge=0)]]]
    mistakes: list[_Mistake]

    @model_validator(mode="after")
    def check_sizes(self) -> Self:
        """Check that the confusion matrix and all classes fit to the names of the classes."""
        count = len(self.classes)
        if [len(row) for row in self.confusion] != [count] * count:
            raise ValueError(f"confusion must have {count} rows of {count} numbers")
        numbers = [number for one in self.mistakes for number in (one.label, one.predicted)]
        if max(numbers, default=0) >= count:
            raise ValueError("a mistake is of a class without a name")
        return self


class _JudgedArchitecture(BaseModel):
    arm: Literal["control", "policy", "derived"]
    alone: Annotated[list[Accuracy], Field(min_length=1)]


class _ScoredArchitecture(BaseModel):
    arm: Literal["control", "derived"]
    tokens: list[int]
    accuracy: Accuracy


class _UniformWeights(BaseModel):
    epochs: int
    architectures: list[_ScoredArchitecture]


class Judgement(BaseModel):
    """Types of the facts in ``weight_sharing.json`` that decide the verdict of a report."""

    images: str = ""
    search: dict[str, Any] | None = None
    architectures: list[_JudgedArchitecture]
    uniform_weights: _UniformWeights | None = None


class _Runtime(BaseModel):
    choices: dict[str, Any]


class _Overrides(BaseModel):
    task: list[str]


class _Hydra(BaseModel):
    runtime: _Runtime
    overrides: _Overrides


class HydraFile(BaseModel):
    """Types of ``.hydra/hydra.yaml``, Hydra's own configuration, as far as commands read it."""

    hydra: _Hydra


def check_types(kind: type[BaseModel], content: Any, path: Path) -> None:
    """Raise InputError if the content of a file is of other types than ``kind``."""
    try:
        kind.model_validate(content, strict=True)
    except ValidationError as error:
        name, problem = find_first_problem(error)
        where = f"{name}: " if name else ""
        raise InputError(f"{path}: damaged: {where}{problem.lower()}") from None
