"""A fixture that writes image files."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

WriteClass = Callable[..., list[Path]]


@pytest.fixture
def write_class() -> WriteClass:
    """Return a function that writes random PNG files into a folder and returns their paths."""

    def write(
        folder: Path,
        number: int,
        side: int | tuple[int, int] = 8,
        mode: str = "RGB",
        seed: str = "",
    ):
        folder.mkdir(parents=True, exist_ok=True)
        width, height = (side, side) if isinstance(side, int) else side
        shape = (height, width) if mode == "L" else (height, width, 3)
        generator = np.random.default_rng(list(f"{folder.name}{seed}".encode()))
        paths = [folder / f"{i:03}.png" for i in range(number)]
        for path in paths:
            Image.fromarray(generator.integers(0, 256, shape, dtype=np.uint8)).save(path)
        return paths

    return write
