"""Sheets of small images: rows of square tiles in one PNG file, and the tiles as HTML sources."""

import base64
import io
from collections.abc import Iterator
from pathlib import Path

from PIL import Image
from torch import Tensor

from lightning_nas.data.decode import decode_image
from lightning_nas.files import replace_file

MOST_PIXELS = 96  # side of a tile in a sheet; larger images are made smaller


def write_sheet(path: Path, images_RTHWC: Tensor) -> None:
    """Write images as one PNG file, in one step.

    Args:
        path: File to write.
        images_RTHWC: R rows of T square images, uint8, with one or three channels.
    """
    rows, tiles, side, _, channels = images_RTHWC.shape
    pixels = images_RTHWC.cpu().permute(0, 2, 1, 3, 4).reshape(rows * side, tiles * side, channels)
    sheet = Image.fromarray(pixels.squeeze(2).numpy())
    if side > MOST_PIXELS:
        sheet = sheet.resize((tiles * MOST_PIXELS, rows * MOST_PIXELS), Image.Resampling.BOX)
    replace_file(path, lambda part: sheet.save(part, format="PNG"))


def read_sheet(path: Path, rows: int, columns: int) -> list[str]:
    """Return parts of a sheet as ``data:`` addresses of PNG images, row by row.

    The file is decoded and encoded again, so that nothing but its pixels enters a page.

    Args:
        path: A PNG file.
        rows: Number of rows, at least 1.
        columns: Number of parts of a row, at least 1.

    Raises:
        InputError: If the file is damaged.
    """
    return [encode_png(part) for part in _cut(decode_image(path, channels=3), rows, columns)]


def encode_png(image: Image.Image) -> str:
    """Return the ``data:`` address of an image."""
    content = io.BytesIO()
    image.save(content, format="PNG")
    return f"data:image/png;base64,{base64.b64encode(content.getvalue()).decode()}"


def _cut(sheet: Image.Image, rows: int, columns: int) -> Iterator[Image.Image]:
    width, height = sheet.width // columns, sheet.height // rows
    for row in range(rows):
        for column in range(columns):
            left, top = column * width, row * height
            yield sheet.crop((left, top, left + width, top + height))
