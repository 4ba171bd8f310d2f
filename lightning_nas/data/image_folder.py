"""Folders of labelled images: ``train/<class>/``, ``val/<class>/`` and ``test/<class>/``.

``val/`` and ``test/`` are optional. Without ``train/``, the folder itself contains the class
folders of the training split. The search for files is in ``folders.py``.
"""

from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lightning_nas.data.base import ImageData
from lightning_nas.data.decode import GREY_MODES, SKIP_HINT
from lightning_nas.data.folders import (
    OTHER_FOLDERS,
    UNREADABLE,
    count_stray_files,
    describe_found,
    find_images,
    find_splits,
    list_classes,
    list_folders,
    list_other_folders,
)
from lightning_nas.data.headers import Headers, read_headers
from lightning_nas.data.images import (
    IN_MEMORY_SIDE,
    ImageFiles,
    LabelledImages,
    check_crop,
    compute_decoded_side,
)
from lightning_nas.errors import InputError, list_some, printable


class ImageFolder(ImageData):
    """Images in ``root/train/<class>/``, ``root/val/<class>/`` and ``root/test/<class>/``.

    The names of the splits may have another case, and may be ``training``, ``valid``,
    ``validation`` and ``testing``. Without ``val/``, the validation split is a sample of the
    training images; ``validation`` sets the size. Without ``test/``, the test split is 10 % of the
    training images, stratified by class. The images in the folder determine classes, channels and
    size.

    Args:
        root: Folder of the images.
        image_size: Side in pixels of the images in a batch, at least 1; None = ``crop`` times the
            side of the images in the folder, which must be squares of one size.
        crop: Side of the images in a batch divided by the side of decoded images, in (0, 1].
            Images are decoded as squares with a side of ``image_size / crop`` pixels. A batch has
            centre crops, or the random crops of the augmentation. Example: ``crop=0.875`` and
            ``image_size=224`` decode squares of 256 pixels.
        skip_unreadable: Whether to leave out images that cannot be read. All images are decoded
            once before the run to find them. The splits of the other images stay the same.
        channels: 1 for grey, 3 for RGB; None = 1 if all images are grey, else 3.
        test_only: Whether to read the test split alone: ``test/``, or all images of a folder that
            has class folders instead of splits.
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
        skip_unreadable: bool = False,
        channels: int | None = None,
        test_only: bool = False,
        **settings: Any,
    ) -> None:
        super().__init__(**settings)
        check_crop(crop)
        self.root = Path(root)
        self.crop = crop
        self.skip_unreadable = skip_unreadable
        self.test_only = test_only
        self._requested_size = image_size
        self._requested_channels = channels
        self._decoded_side = None if image_size is None else compute_decoded_side(image_size, crop)

    def read(self) -> LabelledImages:
        """Return the images of the folder."""
        data = read_folder(
            self.root,
            self._decoded_side,
            self._requested_channels,
            skip_unreadable=self.skip_unreadable,
            test_only=self.test_only,
        )
        side = self._requested_size or max(1, round(self.crop * data.images.shape[1]))
        return replace(data, image_size=side)


def read_folder(
    root: Path,
    image_size: int | None = None,
    channels: int | None = None,
    *,
    skip_unreadable: bool | None = None,
    test_only: bool = False,
) -> LabelledImages:
    """Return the images of all splits; small images are decoded into memory.

    Args:
        root: Folder of the images.
        image_size: Side of the decoded squares in pixels; None = the side of the images, which
            must be squares of one size.
        channels: 1 for grey, 3 for RGB; None = 1 if all images are grey, else 3.
        skip_unreadable: Whether to leave out images that cannot be read; None = false, and the
            error does not name the setting.
        test_only: Whether to read the test split alone, see ``ImageFolder``.

    Raises:
        InputError: If a folder is missing or empty; if ``val/`` or ``test/`` has other classes than
            ``train/``; if ``image_size`` is None and the images differ in size; or if an image
            cannot be read.
        OSError: If a folder cannot be opened.
    """
    found = _find_files(root, _find_split_folders(root, test_only))
    files, unreadable, sides = _open_files(root, found, image_size, channels, skip_unreadable)
    is_small = files.shape[1] <= IN_MEMORY_SIDE
    return LabelledImages(
        images=files[torch.arange(len(found.paths))] if is_small else files,
        labels=torch.tensor(found.labels),
        classes=[printable(name) for name in found.classes],
        validation=found.ranges.get("val"),
        test=found.ranges.get("test"),
        unreadable=torch.tensor(unreadable, dtype=torch.int64),
        left_out=found.left_out,
        original_sides=sides,
        paths=files.paths,
        root=root,
    )


# ---- files ---------------------------------------------------------------------------------------


@dataclass
class _Files:
    """Image files of all splits, their labels, and the positions of each split."""

    classes: list[str]
    paths: list[Path] = field(default_factory=list)
    labels: list[int] = field(default_factory=list)
    ranges: dict[str, Tensor] = field(default_factory=dict)
    left_out: Counter[str] = field(default_factory=Counter)


def _find_split_folders(root: Path, test_only: bool) -> dict[str, Path]:
    folders = find_splits(root)
    needed = "test" if test_only else "train"
    if not folders:
        return {needed: root}
    if test_only and "test" in folders:
        return {"test": folders["test"]}
    others = list_other_folders(root)
    if "train" not in folders:
        names = [folder.name for folder in folders.values()]
        advice = f"; move {list_some(others)} into {needed}/" if others else ""
        raise InputError(
            f"data.root={printable(root)} has {' and '.join(names)} but no {needed}{advice}"
        )
    if others and not list_folders(folders["train"]):
        raise InputError(
            f"{printable(folders['train'])} has no class folders, but beside it lie "
            f"{list_some(others)}: if {folders['train'].name} is a class too, move all class "
            "folders into a new folder train/"
        )
    return folders


def _find_files(root: Path, folders: dict[str, Path]) -> _Files:
    classes = list_classes(next(iter(folders.values())))
    found = _Files(classes)
    for split, folder in folders.items():
        _check_same_classes(folder, classes)
        start = len(found.paths)
        for label, name in enumerate(classes):
            paths = find_images(folder / name, found.left_out)
            if not paths:
                raise InputError(
                    f"the class folder {printable(folder / name)} has no images"
                    f"{describe_found(folder / name)}"
                )
            found.paths += paths
            found.labels += [label] * len(paths)
        found.ranges[split] = torch.arange(start, len(found.paths))
    for folder in {root, *folders.values()}:
        count_stray_files(folder, found.left_out)
    if root not in folders.values():
        found.left_out[OTHER_FOLDERS] += len(list_other_folders(root))
    return found


def _check_same_classes(folder: Path, classes: list[str]) -> None:
    names = list_classes(folder)
    if different := sorted(set(names) ^ set(classes)):
        verb = "has" if different[0] in names else "lacks"
        raise InputError(
            f"{printable(folder)} {verb} the class {printable(different[0])!r}, unlike train: all "
            "splits need the same classes"
        )


# ---- headers and pixels --------------------------------------------------------------------------


def _open_files(
    root: Path,
    found: _Files,
    image_size: int | None,
    channels: int | None,
    skip_unreadable: bool | None,
) -> tuple[ImageFiles, list[int], tuple[int, int] | None]:
    """Return the files, the positions of unreadable ones, and the shortest and longest side.

    The headers determine ``image_size`` or ``channels`` if None. They are not read for images of
    known size and channels in memory, which are all decoded before the run anyway.
    """
    is_known = image_size is not None and channels is not None
    hint = SKIP_HINT if skip_unreadable is False else ""
    if is_known and image_size <= IN_MEMORY_SIDE and not skip_unreadable:  # type: ignore[operator]
        return ImageFiles(found.paths, image_size, channels, hint=hint), [], None  # type: ignore[arg-type]
    headers = read_headers(found.paths, decode=bool(skip_unreadable))
    if not skip_unreadable or len(headers.unreadable) == len(found.paths):
        _check_readable(headers, len(found.paths), hint)
    found.left_out[UNREADABLE] += len(headers.unreadable)
    if channels is None:
        channels = 1 if headers.modes <= GREY_MODES else 3
    if image_size is None:
        image_size = _find_common_side(root, headers.sizes)
    files = ImageFiles(found.paths, image_size, channels, blank=headers.unreadable, hint=hint)
    sides = [side for size in headers.sizes for side in size]
    return files, list(headers.unreadable), (min(sides), max(sides))


def _check_readable(headers: Headers, number: int, hint: str) -> None:
    """Raise the first error of the files, if there is one."""
    errors = list(headers.unreadable.values())
    if not errors:
        return
    more = f" ({len(errors) - 1:,} more of {number:,} images are unreadable)"
    errors[0].reason += more if len(errors) > 1 else ""
    errors[0].hint = hint
    raise errors[0]


def _find_common_side(root: Path, sizes: set[tuple[int, int]]) -> int:
    width, height = min(sizes)
    if len(sizes) > 1 or width != height:
        raise InputError(
            f"the images in {printable(root)} are not squares of one size (one is "
            f"{width}x{height}): set data.image_size to the side, in pixels, to which they are "
            "resized"
        )
    return width
