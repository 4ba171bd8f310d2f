"""Train, test, predict or export an architecture: ``python train.py architecture=RUN``."""

import signal

if __name__ == "__main__" and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # no traceback while libraries are imported

import hydra
from omegaconf import DictConfig

from lightning_nas.run.cli import print_user_errors, run_command


@hydra.main(version_base="1.3", config_path="configs", config_name="train")
def main(cfg: DictConfig) -> None:
    """Run the command that ``mode`` names."""
    from lightning_nas.run.train import train  # imports torch, which --help does not need

    with print_user_errors():
        train(cfg)


if __name__ == "__main__":
    run_command(main)
