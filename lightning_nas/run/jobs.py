"""Jobs of submitit: what they import, and what the command prints while it waits. No torch here."""

import math
import os
import sys
from pathlib import Path

from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig

from lightning_nas.storage.run_folder import display_path, shell_path


def prepare_jobs(config: DictConfig) -> None:
    """Prepare the jobs of a submitit launcher, and print that the command waits for them.

    The jobs import from the same folders as this command, wherever it was started. Other launchers
    are ignored.

    Args:
        config: Configuration of several runs, with the group ``hydra``.
    """
    template = config.hydra.launcher.get("submitit_folder")
    if template is None:
        return
    os.environ["PYTHONPATH"] = os.pathsep.join(path or os.getcwd() for path in sys.path)
    folder, *job_folder = template.split("/%j")  # submitit replaces %j by the number of the job
    logs = "/".join([shell_path(Path(folder)), *("*" for _ in job_folder), "*_log.out"])
    number = count_jobs(config)
    print(
        f"{number} {'job' if number == 1 else 'jobs'}: this command waits until all have ended; "
        f"logs: {display_path(Path(folder))}; to follow them: tail -F {logs}",
        flush=True,
    )


def count_jobs(config: DictConfig) -> int:
    """Return the number of runs that a sweeper starts, of Optuna or of Hydra itself."""
    sweeper = config.hydra.sweeper
    if "n_trials" in sweeper:
        return int(sweeper.n_trials)
    fixed = [f"{name}={values}" for name, values in (sweeper.get("params") or {}).items()]
    settings = OverridesParser.create().parse_overrides([*fixed, *config.hydra.overrides.task])
    return math.prod(
        len(list(setting.sweep_string_iterator()))
        for setting in settings
        if setting.is_sweep_override()
    )
