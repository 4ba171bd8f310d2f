"""The judgement at the end of a search, if ``judge.at_end`` is true."""

import logging
import sys
from pathlib import Path

from lightning_nas.callbacks.interrupt import Interrupted
from lightning_nas.errors import InputError
from lightning_nas.judge.judge import judge_run
from lightning_nas.storage.run_folder import shell_path

log = logging.getLogger(__name__)


def judge_finished_search(folder: Path) -> None:
    """Judge a search that is complete. An error or a signal does not change its results."""
    command = f"python -m lightning_nas.judge {shell_path(folder)}"
    try:
        judge_run(str(folder), {}, [], announce_data=False)
    except InputError as error:
        log.warning(
            "the search is complete, but was not judged: %s; to judge it: %s", error, command
        )
    except Interrupted as interrupted:
        print(
            f"interrupted by {interrupted}; the search is complete; to continue its judgement: "
            f"{command}",
            file=sys.stderr,
        )
        sys.exit(interrupted.exit_code)
