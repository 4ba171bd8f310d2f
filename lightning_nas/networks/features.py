"""A network without its heads: the maps that detection and segmentation build on."""

from torch import Tensor, nn

from lightning_nas.networks.placeholder import run_without_numbers


class FeaturePyramid(nn.Module):
    """Returns the last map of each resolution, largest first, for ``(N, C, H, W)`` images.

    Args:
        network: Its classifier and its auxiliary head are taken away.
        in_channels: Channels of the images.
        image_size: Side of the images for which the strides are given.

    Attributes:
        channels: Channels of each map.
        strides: Pixels of the image, along a side, that a pixel of each map stands for.
    """

    def __init__(self, network: nn.Module, in_channels: int, image_size: int) -> None:
        super().__init__()
        network.classifier = nn.Identity()
        if hasattr(network, "auxiliary"):
            setattr(network, "auxiliary", None)  # noqa: B010  # typed as a module by torch
        self.network = network
        maps = run_without_numbers(self, in_channels, image_size)
        self.channels = [x.shape[1] for x in maps]
        self.strides = [round(image_size / x.shape[2]) for x in maps]

    def forward(self, images: Tensor) -> list[Tensor]:
        """Return the maps."""
        return self.network.features(images)  # type: ignore[operator]
