"""Images per second at ImageNet's size: each step of the batched augmentation, and decoding.

Images of 256 pixels become 224 pixels. The reference does the same image by image in this process,
with PIL and torchvision. Decoding is measured for one worker and a JPEG file of 500x375 pixels.

    python -m benchmarks.large_images --threads 1
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from sklearn.datasets import load_sample_image
from torchvision import transforms

from benchmarks.machine import parse
from lightning_nas.data.augmentation import Augmentation
from lightning_nas.data.images import ImageFiles, Normalise, compute_decoded_side

SIDE, CROP, COLOUR = 224, 0.875, 0.4
MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
REPEATS = 8
AUGMENTATIONS = {
    "random crop, flip": Augmentation(flip=True),
    "area": Augmentation(area=[0.08, 1.0]),
    "area, flip": Augmentation(flip=True, area=[0.08, 1.0]),
    "area, flip, colour": Augmentation(flip=True, area=[0.08, 1.0], colour=COLOUR),
}


def rate(work: Callable[[], object], images: int) -> float:
    """Return the images per second of the fastest of some calls, after one call for warm-up."""
    times = []
    for _ in range(REPEATS + 1):
        start = time.perf_counter()
        work()
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        times.append(time.perf_counter() - start)
    return images / min(times[1:])


def photograph(folder: Path) -> Path:
    """Write scikit-learn's photograph in the typical size of ImageNet and return the file."""
    path = folder / "photograph.jpg"
    Image.fromarray(load_sample_image("china.jpg")).resize((500, 375)).save(path, quality=95)
    return path


def reference() -> transforms.Compose:
    """Return torchvision's chain of transforms for one PIL image."""
    steps = [
        transforms.RandomResizedCrop(SIDE),
        transforms.RandomHorizontalFlip(),
        transforms.ColorJitter(COLOUR, COLOUR, COLOUR),
        transforms.ToTensor(),
        transforms.Normalize(MEAN, STD),
    ]
    return transforms.Compose(steps)


def main() -> None:
    """Measure every step and print the rates."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batch", type=int, default=64, help="images a batch (default: 64)")
    arguments = parse(parser)
    batch, device = arguments.batch, arguments.device
    with tempfile.TemporaryDirectory() as folder:
        files = ImageFiles([photograph(Path(folder))], compute_decoded_side(SIDE, CROP), 3)
        decoded = files.decode(0)
        rates = {"decoding, one worker": rate(lambda: files.decode(0), 1)}
    images = torch.from_numpy(np.stack([decoded] * batch)).to(device)
    normalise = Normalise(MEAN, STD, SIDE, device)
    rates["centre crop (evaluation)"] = rate(lambda: normalise(images), batch)
    generator = torch.Generator(device).manual_seed(0)
    for name, augmentation in AUGMENTATIONS.items():
        rates[name] = rate(lambda: augmentation(images, generator, normalise), batch)  # noqa: B023
    one, chain = Image.fromarray(decoded), reference()
    rates["the same, image by image"] = rate(lambda: [chain(one) for _ in range(batch)], batch)
    print(
        f"{torch.get_num_threads()} threads, {device}, batches of {batch}: images/s, ms per image"
    )
    for name, found in rates.items():
        print(f"{name:<26}{found:>10,.0f}{1e3 / found:>10.2f}")


if __name__ == "__main__":
    main()
