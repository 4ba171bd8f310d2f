"""Fashion-MNIST: 70,000 grey images of 28x28 pixels in 10 classes of clothing."""

from torchvision import datasets

from lightning_nas.data.torchvision_data import TorchvisionData


class FashionMnist(TorchvisionData):
    """Fashion-MNIST with its official test split of 10,000 images.

    Source: Xiao, Rasul and Vollgraf, 2017, https://arxiv.org/abs/1708.07747.
    """

    title = "Fashion-MNIST"
    layouts = (datasets.FashionMNIST,)
    stored = "FashionMNIST/raw"
    url = datasets.FashionMNIST.mirrors[0]
    folder_shape = (28, 1)
