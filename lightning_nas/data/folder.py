"""Reading a folder of images: ``train/<class>/``, ``val/<class>/`` and ``test/<class>/``.

The last two are optional, and so is ``train/``: a folder of class folders is a training split.
"""

from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from lightning_nas.data.images import ImageFiles, LabelledImages
from lightning_nas.errors import InputError

SUFFIXES = {".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm", ".pgm"}
SAMPLE = 64  # images whose headers tell the channels and the size of all
IN_MEMORY_SIDE = 64  # pixels; larger images are decoded again for each pass


def read_folder(
    root: Path, image_size: int | None = None, channels: int | None = None
) -> LabelledImages:
    """Return the images of all sub-folders, decoded if they are small.

    Args:
        root: The folder.
        image_size: Side to resize to, in pixels; None = the images' own, if they agree.
        channels: 1 for grey, 3 for RGB; None = as the images are.

    Raises:
        InputError: If a folder is missing or empty, or ``val/`` or ``test/`` has other classes, or
            ``image_size`` is needed, or an image cannot be read.
    """
    folders = _split_folders(root)
    classes = _class_names(folders["train"])
    paths: list[Path] = []
    labels: list[int] = []
    ranges: dict[str, Tensor] = {}
    for split, folder in folders.items():
        _check_same_classes(folder, classes)
        start = len(paths)
        for label, name in enumerate(classes):
            found = _class_images(folder / name)
            paths += found
            labels += [label] * len(found)
        ranges[split] = torch.arange(start, len(paths))
    files = _open_files(root, paths, image_size, channels)
    in_memory = files.shape[1] <= IN_MEMORY_SIDE
    return LabelledImages(
        images=files[torch.arange(len(paths))] if in_memory else files,
        labels=torch.tensor(labels),
        classes=classes,
        validation=ranges.get("val"),
        test=ranges.get("test"),
    )


def _split_folders(root: Path) -> dict[str, Path]:
    if not root.is_dir():
        raise InputError(f"data.root={root} is not a folder")
    folders = {name: root / name for name in ("train", "val", "test") if (root / name).is_dir()}
    if folders and "train" not in folders:
        raise InputError(f"data.root={root} has {' and '.join(folders)} but no train")
    return folders or {"train": root}


def _class_names(folder: Path) -> list[str]:
    names = sorted(p.name for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))
    if not names:
        raise InputError(f"{folder} is empty: it needs one sub-folder of images for each class")
    return names


def _check_same_classes(folder: Path, classes: list[str]) -> None:
    found = _class_names(folder)
    if different := sorted(set(found) ^ set(classes)):
        first = different[0]
        has = "has" if first in found else "lacks"
        raise InputError(f"{folder} {has} the class {first!r}, unlike train: they must be the same")


def _class_images(folder: Path) -> list[Path]:
    found = find_images(folder)
    if not found:
        raise InputError(f"the class folder {folder} has no images")
    return found


def find_images(folder: Path) -> list[Path]:
    """Return the image files in a folder and its sub-folders, sorted."""
    return sorted(p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES)


def _open_files(
    root: Path, paths: list[Path], image_size: int | None, channels: int | None
) -> ImageFiles:
    """Fill in from a sample of the files what is not given."""
    if image_size is None or channels is None:
        headers = [_header(path) for path in paths[:: -(-len(paths) // SAMPLE)]]
        if channels is None:
            channels = 1 if all(mode == "L" for mode, _ in headers) else 3
        if image_size is None:
            image_size = _common_side(root, {size for _, size in headers})
    return ImageFiles(paths, image_size, channels)


def _header(path: Path) -> tuple[str, tuple[int, int]]:
    try:
        with Image.open(path) as image:
            return image.mode, image.size
    except OSError as error:
        raise InputError(f"cannot read the image {path}: {error}") from error


def _common_side(root: Path, sizes: set[tuple[int, int]]) -> int:
    width, height = min(sizes)
    if len(sizes) > 1 or width != height:
        raise InputError(
            f"the images in {root} are not squares of one size (one is {width}x{height}): "
            "set data.image_size to the side, in pixels, that they are to be resized to"
        )
    return width
