"""Folders of labelled images: ``train/<class>/``, ``val/<class>/`` and ``test/<class>/``.

``val/`` and ``test/`` are optional. Without ``train/``, the folder itself contains the class
folders of the training split.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lightning_nas.data.base import ImageData
from lightning_nas.data.images import (
    ImageFiles,
    LabelledImages,
    check_crop,
    compute_decoded_side,
    open_image,
)
from lightning_nas.errors import InputError

SUFFIXES = {".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm", ".pgm"}
SAMPLE = 64  # maximum number of image headers to read for the channels and the size of all images
IN_MEMORY_SIDE = 64  # pixels; larger images are decoded again in each epoch


class ImageFolder(ImageData):
    """Images in ``root/train/<class>/``, ``root/val/<class>/`` and ``root/test/<class>/``.

    Without ``val/``, the validation split is a sample of the training images; ``validation`` sets
    the size. Without ``test/``, the test split is 10 % of the training images, stratified by class.
    The images in the folder determine classes, channels and size.

    Args:
        root: Folder of the images.
        image_size: Side in pixels of the images in a batch, at least 1; None = ``crop`` times the
            side of the images in the folder, which must be squares of one size.
        crop: Side of the images in a batch divided by the side of decoded images, in (0, 1].
            Images are decoded as squares with a side of ``image_size / crop`` pixels. A batch has
            centre crops, or the random crops of the augmentation. Example: ``crop=0.875`` and
            ``image_size=224`` decode squares of 256 pixels.
        settings: Keyword arguments passed to ``ImageData``.

    Raises:
        InputError: If ``image_size`` or ``crop`` is out of its range.
    """

    def __init__(
        self,
        *,
        root: str | Path,
        image_size: int | None = None,
        crop: float = 1.0,
        **settings: Any,
    ) -> None:
        super().__init__(**settings)
        check_crop(crop)
        self.root = Path(root)
        self.crop = crop
        self._requested_size = image_size
        self._decoded_side = None if image_size is None else compute_decoded_side(image_size, crop)

    def read(self) -> LabelledImages:
        """Return the images of the folder."""
        data = read_folder(self.root, self._decoded_side)
        side = self._requested_size or max(1, round(self.crop * data.images.shape[1]))
        return replace(data, image_size=side)


def read_folder(
    root: Path, image_size: int | None = None, channels: int | None = None
) -> LabelledImages:
    """Return the images of all splits; small images are decoded into memory.

    Args:
        root: Folder of the images.
        image_size: Side of the decoded squares in pixels; None = the side of the images, which
            must be squares of one size.
        channels: 1 for grey, 3 for RGB; None = 1 if all sampled images are grey, else 3.

    Raises:
        InputError: If a folder is missing or empty; if ``val/`` or ``test/`` has other classes than
            ``train/``; if ``image_size`` is None and the images differ in size; or if an image
            cannot be read.
    """
    folders = _find_split_folders(root)
    classes = _list_classes(folders["train"])
    paths: list[Path] = []
    labels: list[int] = []
    ranges: dict[str, Tensor] = {}
    for split, folder in folders.items():
        _check_same_classes(folder, classes)
        start = len(paths)
        for label, name in enumerate(classes):
            class_paths = find_images(folder / name)
            if not class_paths:
                raise InputError(f"the class folder {folder / name} has no images")
            paths += class_paths
            labels += [label] * len(class_paths)
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


def find_images(folder: Path) -> list[Path]:
    """Return the image files in a folder and its sub-folders, sorted."""
    return sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)


def _find_split_folders(root: Path) -> dict[str, Path]:
    if not root.is_dir():
        raise InputError(f"data.root={root} is not a folder")
    folders = {name: root / name for name in ("train", "val", "test") if (root / name).is_dir()}
    if folders and "train" not in folders:
        raise InputError(f"data.root={root} has {' and '.join(folders)} but no train")
    return folders or {"train": root}


def _list_classes(folder: Path) -> list[str]:
    names = sorted(p.name for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))
    if not names:
        raise InputError(
            f"{folder} has no class folders: it needs one sub-folder of images for each class"
        )
    return names


def _check_same_classes(folder: Path, classes: list[str]) -> None:
    names = _list_classes(folder)
    if different := sorted(set(names) ^ set(classes)):
        verb = "has" if different[0] in names else "lacks"
        raise InputError(
            f"{folder} {verb} the class {different[0]!r}, unlike train: all splits need the same "
            "classes"
        )


def _open_files(
    root: Path, paths: list[Path], image_size: int | None, channels: int | None
) -> ImageFiles:
    """Return the files; a sample of the files determines ``image_size`` or ``channels`` if None."""
    if image_size is None or channels is None:
        modes, sizes = set(), set()
        for path in paths[:: -(-len(paths) // SAMPLE)]:
            with open_image(path) as image:
                modes.add(image.mode)
                sizes.add(image.size)
        if channels is None:
            channels = 1 if modes == {"L"} else 3
        if image_size is None:
            image_size = _find_common_side(root, sizes)
    return ImageFiles(paths, image_size, channels)


def _find_common_side(root: Path, sizes: set[tuple[int, int]]) -> int:
    width, height = min(sizes)
    if len(sizes) > 1 or width != height:
        raise InputError(
            f"the images in {root} are not squares of one size (one is {width}x{height}): "
            "set data.image_size to the side, in pixels, to which they are resized"
        )
    return width
