"""What goes with trained weights, so that they can be used without the run that made them."""

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
    """A network and the images that it takes. Plain data both ways, for checkpoints and exports.

    Args:
        architecture: Of the network.
        settings: Arguments of ``build_network`` other than those below.
        num_classes: Classes.
        classes: Their names, in order; empty where they are not known.
        channels: Channels of the images.
        image_size: Side of the images in pixels.
        mean: Of each channel, for pixels in [0, 1]; what is subtracted.
        std: Of each channel, what is divided by then.
        crop: Share of an image's shorter side that the network sees, in the middle; see the data.
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
        """Return the network with fresh weights; ``more`` goes to ``build_network``, and wins."""
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
        """Return it as text."""
        content = dict(self.__dict__) | {"architecture": json.loads(to_json(self.architecture))}
        return json.dumps(content, indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str, source: str) -> "Blueprint":
        """Read what ``to_json`` wrote.

        Args:
            text: What was written.
            source: Named in the error.

        Raises:
            InputError: If it is something else.
        """
        try:
            content = json.loads(text)
            architecture = from_json(json.dumps(content.pop("architecture")), source)
            content |= {name: tuple(content[name]) for name in ("classes", "mean", "std")}
            return cls(architecture=architecture, **content)
        except (AttributeError, KeyError, TypeError, json.JSONDecodeError):
            raise InputError(f"{source}: its description of the network cannot be read") from None
