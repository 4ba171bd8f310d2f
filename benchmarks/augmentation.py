"""Images per second: the batched augmentation of this project against torchvision, image by image.

Crop, flip, normalise and cutout on 10,000 generated images of CIFAR's size in batches of 160. The
reference is the usual chain of torchvision transforms in a DataLoader with two workers.

    python -m benchmarks.augmentation
"""

import time
from collections.abc import Iterable

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms
from torchvision.transforms import functional

from lightning_nas.data.augmentation import Augmentation
from lightning_nas.data.images import Normalise
from lightning_nas.data.loader import ImageLoader, MemorySource

IMAGES, SIDE, BATCH, CUTOUT = 10_000, 32, 160, 16
MEAN, STD = [0.49, 0.48, 0.45], [0.25, 0.24, 0.26]


class OneByOne(Dataset):
    """Data set of the reference: every PIL image is transformed on its own."""

    def __init__(self, images: Tensor, labels: Tensor) -> None:
        self.images = images
        self.labels = labels
        self.transform = transforms.Compose(
            [
                transforms.RandomCrop(SIDE, padding=4),
                transforms.RandomHorizontalFlip(),
                transforms.ToTensor(),
                transforms.Normalize(MEAN, STD),
            ]
        )

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        image = self.transform(functional.to_pil_image(self.images[index].numpy()))
        row, column = (int(centre) for centre in torch.randint(SIDE, (2,)))
        top, left = max(row - CUTOUT // 2, 0), max(column - CUTOUT // 2, 0)
        image[:, top : row + CUTOUT // 2, left : column + CUTOUT // 2] = 0
        return image, self.labels[index]


def images_per_second(loader: Iterable[tuple[Tensor, Tensor]], passes: int) -> float:
    """Return the mean rate over some passes, after one pass for warm-up."""
    rates = []
    for _ in range(passes + 1):
        start = time.perf_counter()
        count = sum(len(labels) for _, labels in loader)
        rates.append(count / (time.perf_counter() - start))
    return sum(rates[1:]) / passes


def main() -> None:
    """Measure both and print the rates and their ratio."""
    images = torch.randint(256, (IMAGES, SIDE, SIDE, 3), dtype=torch.uint8)
    labels = torch.arange(IMAGES) % 10
    reference = DataLoader(
        OneByOne(images, labels),
        BATCH,
        shuffle=True,
        num_workers=2,
        persistent_workers=True,
        drop_last=True,
    )
    cpu = torch.device("cpu")
    batched = ImageLoader(
        MemorySource(images, labels, cpu),
        torch.arange(IMAGES),
        BATCH,
        Normalise(MEAN, STD, SIDE, cpu),
        Augmentation(pad=4, flip=True, cutout=CUTOUT),
        shuffle=True,
    )
    slow, fast = images_per_second(reference, passes=2), images_per_second(batched, passes=10)
    print(f"image by image, 2 workers: {slow:10,.0f} images/s")
    print(f"in batches, in memory:     {fast:10,.0f} images/s")
    print(f"ratio:                     {fast / slow:10.1f}")


if __name__ == "__main__":
    main()
