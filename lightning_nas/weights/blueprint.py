"""The blueprint of a network: the data needed to use its weights without the run folder."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import nn

from lightning_nas.architecture import Architecture, from_json, to_json
from lightning_nas.errors import InputError
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
        """Read a blueprint from the JSON of ``to_json``.

        Args:
            text: The JSON.
            source: Name of the file, for the error message.

        Raises:
            InputError: If the text is not a blueprint.
        """
        try:
            content = json.loads(text)
            architecture = from_json(json.dumps(content.pop("architecture")), source)
            content |= {name: tuple(content[name]) for name in ("classes", "mean", "std")}
            return cls(architecture=architecture, **content)
        except (AttributeError, KeyError, TypeError, json.JSONDecodeError):
            raise InputError(f"{source}: the blueprint of the network is damaged") from None
