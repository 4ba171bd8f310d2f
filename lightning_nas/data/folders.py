"""The search for images in folders: splits, classes, image files, and what is left out.

Nothing is left out in silence: every file that is not read is counted by its kind. No file is
opened here.
"""

import os
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from lightning_nas.data.decode import SUFFIXES
from lightning_nas.errors import InputError, list_some, printable

SPLIT_NAMES = {
    "train": ("train", "training"),
    "val": ("val", "valid", "validation"),
    "test": ("test", "testing"),
}
SPLIT_OF = {name: split for split, names in SPLIT_NAMES.items() for name in names}
SPLIT_WORDS = {*SPLIT_OF, "trainset", "testset", "valset", "dev", "eval", "evaluation"}
# Files and folders that systems write beside the images of the user
SYSTEM_NAMES = {"__macosx", "thumbs.db", "desktop.ini", "@eadir", "$recycle.bin"}
# Kinds of files that are left out, in the plural
HIDDEN, STRAY = "hidden files", "images beside the class folders"
OTHER_FOLDERS, LINKS, SPECIAL = "other folders", "linked folders", "files that are no regular files"
UNREADABLE = "unreadable images"


def find_images(folder: Path, left_out: Counter[str]) -> list[Path]:
    """Return the image files in a folder and its sub-folders, sorted.

    Hidden files and folders, those of ``SYSTEM_NAMES`` and other kinds of files are left out.

    Args:
        folder: Folder to search.
        left_out: Counts by kind of file; increased by what is left out.

    Raises:
        OSError: If a folder cannot be read.
    """
    images = []
    for parent, folders, files in os.walk(folder, onerror=_raise):
        for name in [name for name in folders if is_hidden(name)]:
            folders.remove(name)
            left_out[HIDDEN] += count_files(Path(parent, name))
        left_out[LINKS] += sum(os.path.islink(os.path.join(parent, name)) for name in folders)
        images += _select_images(Path(parent), files, left_out)
    return sorted(images)


def _select_images(folder: Path, names: Sequence[str], left_out: Counter[str]) -> list[Path]:
    """Return the image files among the files of a folder, and count the others."""
    images = []
    for name in names:
        path = folder / name
        if is_hidden(name):
            left_out[HIDDEN] += 1
        elif path.suffix.lower() not in SUFFIXES:
            suffix = printable(path.suffix.lower())
            left_out[f"{suffix} files" if suffix else "files without an extension"] += 1
        elif path.exists() and not path.is_file():  # a pipe would block for ever
            left_out[SPECIAL] += 1
        else:
            images.append(path)
    return images


def is_hidden(name: str) -> bool:
    """Return whether a file or a folder is hidden, or one that systems write by themselves."""
    return name.startswith(".") or name.lower() in SYSTEM_NAMES


def count_files(folder: Path) -> int:
    """Return the number of files in a folder and its sub-folders."""
    return sum(len(files) for _, _, files in os.walk(folder))


def count_stray_files(folder: Path, left_out: Counter[str]) -> None:
    """Count the files and the hidden folders that lie directly in a folder of folders."""
    with os.scandir(folder) as entries:
        found = list(entries)
    for entry in found:
        if entry.is_dir() and is_hidden(entry.name):
            left_out[HIDDEN] += count_files(Path(entry.path))
    files = [entry.name for entry in found if not entry.is_dir()]
    left_out[STRAY] += len(_select_images(folder, files, left_out))


def describe_counts(counts: Counter[str]) -> str:
    """Return the counts of files by kind as text.

    >>> describe_counts(Counter({"hidden files": 3, ".txt files": 1, "other folders": 0}))
    '3 hidden files, 1 .txt file'
    """
    texts = []
    for kind, count in counts.most_common():
        one = re.sub(r"\b(file|image|folder)s\b", r"\1", kind, count=1)
        texts += [f"{count:,} {kind if count > 1 else one}"] * (count > 0)
    return list_some(texts, most=8)


def find_splits(root: Path) -> dict[str, Path]:
    """Return the folders of the splits "train", "val" and "test", as far as they exist.

    Usual names are found in any case: ``SPLIT_NAMES``.

    Raises:
        InputError: If ``root`` is not a folder, or a split has two folders.
    """
    if not root.is_dir():
        raise InputError(f"data.root={printable(root)} is not a folder")
    found: dict[str, Path] = {}
    for folder in list_folders(root):
        split = SPLIT_OF.get(folder.name.lower())
        if split in found:
            raise InputError(
                f"data.root={printable(root)} has {found[split].name}/ and {folder.name}/, two "
                f"folders for one split: move the images into {split}/"
            )
        if split is not None:
            found[split] = folder
    return {split: found[split] for split in SPLIT_NAMES if split in found}


def list_folders(folder: Path) -> list[Path]:
    """Return the folders in a folder, sorted, without hidden ones."""
    return sorted(path for path in folder.iterdir() if path.is_dir() and not is_hidden(path.name))


def list_other_folders(root: Path) -> list[str]:
    """Return the names of the folders beside those of the splits."""
    names = [path.name for path in list_folders(root)]
    return [printable(name) for name in names if name.lower() not in SPLIT_OF]


def list_classes(folder: Path) -> list[str]:
    """Return the names of the class folders of a split, sorted.

    Raises:
        InputError: If there are none, or they are splits by their names.
    """
    names = [path.name for path in list_folders(folder)]
    if not names:
        raise InputError(
            f"{printable(folder)} has no class folders: it needs one sub-folder of images for each "
            f"class{describe_found(folder)}"
        )
    _check_no_splits(folder, names)
    for name in names:
        _check_no_splits_inside(folder, name, is_alone=len(names) == 1)
    return names


def describe_found(folder: Path) -> str:
    """Return the end of a message: what a folder holds instead of what was expected."""
    found: Counter[str] = Counter()
    found["images"] += len(find_images(folder, found))
    return f"; found: {describe_counts(found) or 'nothing'}"


def _check_no_splits(folder: Path, names: Sequence[str]) -> None:
    splits = [_find_split_word(name) for name in names]
    if None in splits or "train" not in splits or not 1 < len(set(splits)) == len(splits):
        return
    renames = [f"{printable(name)} to {split}" for name, split in zip(names, splits, strict=True)]
    if all(name.lower() in SPLIT_OF for name in names):
        advice = f"data.root={printable(folder)}"
    else:
        advice = f"rename {list_some(renames)}"
    raise InputError(
        f"the folders in {printable(folder)} are splits by their names, not classes: {advice}"
    )


def _check_no_splits_inside(folder: Path, name: str, is_alone: bool) -> None:
    """Refuse ``<class>/train/`` and a folder around the splits, whose splits would be mixed."""
    names = [path.name for path in list_folders(folder / name)]
    if len(names) < 2 or not all(one.lower() in SPLIT_OF for one in names):
        return
    inner = printable(folder / name)
    moved = printable(folder / SPLIT_OF[names[0].lower()] / name)
    advice = f"{moved}/ instead of {printable(name)}/{names[0]}/"
    raise InputError(
        f"{inner} holds the splits {', '.join(names)}: "
        + (f"data.root={inner}" if is_alone else f"splits stand above classes: {advice}")
    )


def _find_split_word(name: str) -> str | None:
    """Return the split that a folder's name stands for, such as "test" for "test_images"."""
    words = [word for word in re.split(r"[^a-z]+", name.lower()) if word]
    for word in words[:1] + words[-1:]:
        if word in SPLIT_WORDS:
            starts = {"t": "test", "v": "val", "d": "val", "e": "val"}
            return "train" if word.startswith("tr") else starts[word[0]]
    return None


def _raise(error: OSError) -> None:
    raise error
