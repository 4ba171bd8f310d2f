"""CIFAR-100: 60,000 colour images of 32x32 pixels in 100 classes."""

from torchvision import datasets

from lightning_nas.data.torchvision_data import TorchvisionData


class _InRoot(datasets.CIFAR100):
    base_folder = ""  # torchvision's files lie in the root itself


class Cifar100(TorchvisionData):
    """CIFAR-100 with its official test split of 10,000 images.

    Source: Krizhevsky, 2009, https://www.cs.toronto.edu/~kriz/cifar.html.
    """

    title = "CIFAR-100"
    layouts = (datasets.CIFAR100, _InRoot)
    stored = "cifar-100-python"
    url = datasets.CIFAR100.url
    folder_shape = (32, 3)
