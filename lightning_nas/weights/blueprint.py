"""The blueprint of a network: the data needed to use its weights without the run folder.

A weights file may come from a stranger, so each field of its blueprint is checked when it is read.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from torch import nn

from lightning_nas.architecture import Architecture, from_json, to_json
from lightning_nas.architecture.file import MOST_CELLS, MOST_FILTERS
from lightning_nas.errors import InputError
from lightning_nas.files import find_first_problem, parse_json
from lightning_nas.networks.build import build_network


@dataclass(frozen=True)
class Blueprint:
    """Description of a network and of its images. Checkpoints and exports store it as JSON.

    Args:
        architecture: Architecture of the network.
        settings: Further keyword arguments of ``build_network``.
        num_classes: Number of classes.
        classes: Names of the classes, in order; empty if they are unknown.
        channels: Channels of the images.
        image_size: Side of the images in pixels.
        mean: Mean of each channel, subtracted from pixels in [0, 1].
        std: Standard deviation of each channel; pixels are divided by it.
        crop: Share of the shorter side of an image that the network sees, in the centre.
    """

    architecture: Architecture
    settings: Mapping[str, Any]
    num_classes: int
    classes: tuple[str, ...]
    channels: int
    image_size: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    crop: float = 1.0

    def build(self, **more: Any) -> nn.Module:
        """Return the network with fresh weights; ``more`` overrides its arguments."""
        return build_network(self.architecture, **(self.arguments() | more))

    def arguments(self) -> dict[str, Any]:
        """Return all arguments of ``build_network``."""
        return {
            **self.settings,
            "num_classes": self.num_classes,
            "in_channels": self.channels,
            "image_size": self.image_size,
        }

    def to_json(self) -> str:
        """Return the blueprint as JSON."""
        content = dict(self.__dict__) | {"architecture": json.loads(to_json(self.architecture))}
        return json.dumps(content, indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str, source: str) -> "Blueprint":
        """Read a blueprint from the JSON of ``to_json``, and check all its fields.

        Args:
            text: The JSON.
            source: Name of the file, for the error message.

        Raises:
            InputError: If the text is not a blueprint, or a field is of a wrong type or out of its
                range. The message names the field.
        """
        damaged = f"{source}: the blueprint of the network is damaged"
        try:
            fields = _Fields.model_validate(parse_json(text))
        except ValidationError as error:
            field, problem = find_first_problem(error)
            raise InputError(f"{damaged}: {field or 'the whole'}: {problem}") from None
        except ValueError as error:
            raise InputError(f"{damaged}: {error}") from None
        content: dict[str, Any] = fields.model_dump(exclude={"architecture", "settings"})
        content |= {name: tuple(content[name]) for name in ("classes", "mean", "std")}
        return cls(
            architecture=from_json(json.dumps(fields.architecture), source),
            settings=fields.settings.model_dump(exclude_unset=True),
            **content,
        )


# ---- types and ranges ----------------------------------------------------------------------------

Filters = Annotated[int, Field(ge=1, le=MOST_FILTERS)]
Rate = Annotated[float, Field(ge=0, lt=1)]
Number = Annotated[float, Field(allow_inf_nan=False)]


class _Model(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)


class _Settings(_Model):
    """Arguments of ``build_network`` that do not come from the images."""

    filters: Filters | None = None
    cells: Annotated[int, Field(ge=1, le=MOST_CELLS)] | None = None
    stem: Literal["cifar", "imagenet"] = "cifar"
    stem_filters: Filters | None = None
    skip_reduction_input: bool | None = None
    auxiliary: bool = False
    dropout: Rate = 0.0
    drop_path: Rate = 0.0
    norm_epsilon: Annotated[float, Field(gt=0, le=1)] | None = None
    norm_momentum: Annotated[float, Field(gt=0, le=1)] = 0.1


class _Fields(_Model):
    architecture: dict[str, Any]
    settings: _Settings
    num_classes: Annotated[int, Field(ge=1, le=1_000_000)]
    classes: list[str]
    channels: Annotated[int, Field(ge=1, le=1_024)]
    image_size: Annotated[int, Field(ge=1, le=65_536)]
    mean: list[Number]
    std: list[Annotated[float, Field(gt=0)]]
    crop: Annotated[float, Field(gt=0, le=1)] = 1.0

    @model_validator(mode="after")
    def check_lengths(self) -> Self:
        numbers = {"classes": self.num_classes, "mean": self.channels, "std": self.channels}
        for name, expected in numbers.items():
            given = len(getattr(self, name))
            if given != expected and (given or name != "classes"):
                raise ValueError(f"{given} values of {name}, expected {expected}")
        return self
