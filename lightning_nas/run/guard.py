"""The guard of run folders, which Hydra calls.

Hydra calls it when it knows the folder, from whatever setting or configuration, and before it
writes there. A resume has a lock of its own, because its configuration names no guard.
"""

from pathlib import Path
from typing import Any

from hydra.core.utils import JobReturn
from hydra.experimental.callback import Callback
from hydra.types import RunMode
from omegaconf import DictConfig

from lightning_nas.run.cli import print_user_errors
from lightning_nas.run.folders import enter_folder, is_first_of_run, job_locks, sweeps
from lightning_nas.run.jobs import prepare_jobs
from lightning_nas.storage.lock import lock_folder


class GuardFolder(Callback):
    """Callback of Hydra that checks and locks the folder of a command.

    Hydra only warns of exceptions of a callback, so an error of the user ends the process here.
    """

    def on_run_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Check and lock the folder of a run."""
        with print_user_errors():
            enter_folder(Path(config.hydra.run.dir))

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Check and lock the folder of several runs, and prepare those that are jobs."""
        with print_user_errors():
            enter_folder(Path(config.hydra.sweep.dir), has_jobs=True)
        prepare_jobs(config)
        if config.hydra.job.config_name == "search":
            sweeps.append(Path(config.hydra.sweep.dir).absolute())

    def on_job_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Lock the folder of one of several runs, so that nobody resumes a run that is running."""
        if config.hydra.mode == RunMode.MULTIRUN and is_first_of_run():
            with print_user_errors():
                job_locks.enter_context(lock_folder(Path(config.hydra.runtime.output_dir)))

    def on_job_end(self, config: DictConfig, job_return: JobReturn, **kwargs: Any) -> None:
        """Release the folder of one of several runs."""
        job_locks.close()
