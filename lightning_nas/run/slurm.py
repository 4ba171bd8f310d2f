"""Runs as jobs of a SLURM cluster: what is missing for them, and a job that begins again. No torch.

``hydra/launcher=slurm`` hands each run of ``-m`` to SLURM through submitit. A job that reaches its
time limit, or makes room for another, is queued again and goes on from its last complete epoch.
"""

import os
import shutil
from importlib.util import find_spec
from pathlib import Path

from lightning_nas.errors import InputError

PACKAGE = "hydra_plugins.hydra_submitit_launcher"
INSTALL = "pip install hydra-submitit-launcher==1.2.0"
LAUNCHERS = ("slurm", "submitit_slurm", "submitit_local")
RUN = ("trials.sqlite", "checkpoints")  # either shows that a run has begun in a folder


def check_launcher(name: str | None) -> None:
    """Check that a launcher can do its work here, where it is one of submitit's.

    Raises:
        InputError: If the package is not installed, or SLURM not to be found.
    """
    if name not in LAUNCHERS:
        return
    if find_spec("hydra_plugins") is None or find_spec(PACKAGE) is None:
        raise InputError(f"hydra/launcher={name} needs a package: {INSTALL}")
    if name != "submitit_local" and shutil.which("srun") is None:
        raise InputError(
            f"hydra/launcher={name}: there is no srun here; start it where SLURM's commands are, "
            "or take hydra/launcher=submitit_local"
        )


def has_begun(folder: Path) -> bool:
    """Whether a run has begun in a folder."""
    return any((folder / name).exists() for name in RUN)


def is_restarted_job() -> bool:
    """Whether SLURM has started this job before: it was preempted, ran out of time or its node."""
    return int(os.environ.get("SLURM_RESTART_COUNT", "0")) > 0
