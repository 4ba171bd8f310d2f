"""CIFAR-10: 60,000 colour images of 32x32 pixels in 10 classes."""

from torchvision import datasets

from lightning_nas.data.torchvision_data import TorchvisionData


class _InRoot(datasets.CIFAR10):
    base_folder = ""  # torchvision's files lie in the root itself


class Cifar10(TorchvisionData):
    """CIFAR-10 with its official test split of 10,000 images.

    Source: Krizhevsky, 2009, https://www.cs.toronto.edu/~kriz/cifar.html.
    """

    title = "CIFAR-10"
    layouts = (datasets.CIFAR10, _InRoot)
    stored = "cifar-10-batches-py"
    url = datasets.CIFAR10.url
    folder_shape = (32, 3)
