"""``python -m lightning_nas.report RUN...``: writes the report of a search or of several."""

import argparse
import sys
from collections.abc import Collection, Sequence
from pathlib import Path

from lightning_nas.ctrl_c import end_at_ctrl_c
from lightning_nas.errors import InputError, describe_os_error
from lightning_nas.report.html import write_report
from lightning_nas.report.several import find_runs, write_common_report
from lightning_nas.trust import find_named


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m lightning_nas.report",
        description="Write the report of a search into its run folder, or one page for several.",
    )
    parser.add_argument(
        "run", nargs="+", type=Path, help="run folder, or a folder of them (search.py -m)"
    )
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        help="file of the page for several runs (default: report.html beside them; one that "
        "may be of other runs is not replaced)",
    )
    parser.add_argument(
        "--config-dir",
        action="append",
        default=[],
        type=Path,
        help="folder of your own configurations, if the search used a space or an operation of "
        "your own; repeat it for several",
    )
    options = parser.parse_args(arguments)
    try:
        named = find_named((), options.config_dir)
        print(_write_reports(options.run, options.output, named))
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        where = error.filename or "this disk"
        print(f"error: {where}: {describe_os_error(error)}", file=sys.stderr)
        return 2
    return 0


def _write_reports(given: Sequence[Path], output: Path | None, named: Collection[str]) -> Path:
    folders = [folder for path in given for folder in find_runs(path)]
    if len(folders) == 1:
        if output is not None:
            raise InputError(
                f"-o {output}: only for several runs; the report of one run is in its folder"
            )
        return write_report(folders[0], named)
    return write_common_report(folders, output, found=set(folders) - set(given), named=named)


if __name__ == "__main__":
    with end_at_ctrl_c():
        sys.exit(main())
