"""All pictures of ``docs/``: ``python -m benchmarks.pictures RUN``, or ``make pictures``.

The pictures of architectures and of the search come from the code, the curves of NAS-Bench-201
from ``docs/nas_bench_201.csv``, ``report.png`` from the report of a run, in Chromium, and the plots
of notebooks from the notebooks, which are run. The two plots of weight sharing stay as they are:
the judge wrote them for the searches on the page of ENAS.
"""

import argparse
import base64
import io
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import nbformat
from nbclient import NotebookClient
from PIL import Image

from benchmarks.search_diagram import DESCRIPTION, layout_search
from benchmarks.tabular.plot import DOCS, draw_docs
from lightning_nas.errors import InputError
from lightning_nas.published import load_architecture
from lightning_nas.report.draw import draw, write_picture
from lightning_nas.report.html import write_report

WINDOW = (1100, 1392)  # pixels: the top of a report, up to its best architecture
COLOURS = 128  # of a PNG, which keeps the file small
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
PICTURES: dict[str, Callable[[Path], None]] = {  # quick ones, by file in docs/
    "search.svg": lambda path: write_picture(layout_search(), DESCRIPTION, path),
    "nas_2017.svg": lambda path: draw(load_architecture("nas_2017"), path),
    "nasnet_a.svg": lambda path: draw(load_architecture("nasnet_a"), path),
    "enas_space.svg": lambda path: draw(load_architecture("enas_micro"), path, is_space=True),
    "nas_bench_201.svg": draw_docs,
}
NOTEBOOKS = DOCS.parent / "notebooks"
# plots of notebooks, by file in docs/: the notebook, and a text in the cell that makes the plot
PLOTS = {
    "notebook_2.png": ("2-read-a-search.ipynb", "WINDOW = 30"),
    "notebook_4.png": ("4-your-own-space-or-method.ipynb", "SEEDS = range("),
}


def write_plot(notebook: str, text: str, path: Path) -> None:
    """Run a notebook and write the picture that the cell with ``text`` shows."""
    cells = nbformat.read(NOTEBOOKS / notebook, as_version=4)
    resources = {"metadata": {"path": str(NOTEBOOKS)}}
    NotebookClient(cells, timeout=900, kernel_name="python3", resources=resources).execute()
    (cell,) = (cell for cell in cells.cells if text in cell.source)
    (picture,) = (found for output in cell.outputs if (found := output.data.get("image/png")))
    with Image.open(io.BytesIO(base64.b64decode(picture))) as image:
        _write_small(image, path)


def _write_small(image: Image.Image, path: Path) -> None:
    image.convert("RGB").quantize(COLOURS).save(path, optimize=True)


def photograph_report(run: Path, path: Path) -> None:
    """Write the report of a run again, and the top of its page as PNG to ``path``.

    Raises:
        InputError: If Chromium is missing, or the folder is not the run folder of a search.
    """
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        raise InputError(f"{path}: needs Chromium, for example: apt-get install chromium")
    page = write_report(run).resolve()
    with TemporaryDirectory() as folder:
        picture = Path(folder) / "report.png"
        size = "--window-size={},{}".format(*WINDOW)
        command = [browser, "--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"]
        command += [size, f"--screenshot={picture}", f"--user-data-dir={folder}", page.as_uri()]
        subprocess.run(command, check=True, capture_output=True, timeout=240)
        with Image.open(picture) as image:
            _write_small(image, path)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status."""
    parser = argparse.ArgumentParser(description="Write the pictures of a folder like docs/.")
    parser.add_argument("run", type=Path, help="run folder of a search, for report.png")
    parser.add_argument("-o", "--output", type=Path, default=DOCS, help="default: docs/")
    options = parser.parse_args(arguments)
    try:
        for name, write in PICTURES.items():
            write(options.output / name)
            print(options.output / name, flush=True)
        photograph_report(options.run, options.output / "report.png")
        print(options.output / "report.png", flush=True)
        for name, (notebook, text) in PLOTS.items():
            write_plot(notebook, text, options.output / name)
            print(options.output / name, flush=True)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
