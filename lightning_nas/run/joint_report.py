"""The report of all runs of ``search.py -m``, written when the last run has ended."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lightning_nas.errors import InputError, log_and_continue
from lightning_nas.run.folders import sweeps
from lightning_nas.storage.run_folder import RunFolder, display_path, shell_path


@contextmanager
def write_joint_report() -> Iterator[None]:
    """Write the report of all runs after the runs, also if some have failed.

    A single run and a training have no such report. After a signal there is none either, because
    the user waits for the end.
    """
    try:
        yield
    except Exception:
        _write()
        raise
    _write()


def _write() -> None:
    for sweep in sweeps:
        if sweep.is_dir():  # a dry run has none
            _write_into(sweep)


def _write_into(sweep: Path) -> None:
    from lightning_nas.report.several import (
        describe_groups,
        find_runs,
        read_runs,
        write_records,
    )
    from lightning_nas.run.recorded import find_trusted_names

    runs = find_runs(sweep)
    if len(runs) < 2:
        return
    command = f"python -m lightning_nas.report {shell_path(sweep)}"
    with log_and_continue(f"the report of all runs failed; to write it: {command}"):
        path = RunFolder(sweep).report
        try:
            named = find_trusted_names(sys.argv[1:])
            records, empty = read_runs(runs, set(runs), named)
            write_records(records, runs, empty, path)
            groups = describe_groups(records)
        except InputError as error:  # such as runs without a trial
            print(f"no report of all runs: {error}; to write it: {command}", file=sys.stderr)
            return
        print("\n".join(["", *groups, f"all runs      {display_path(path)}"]), flush=True)
