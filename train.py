"""Train an architecture: ``python train.py architecture=RUN``; test, predict or export one."""

import hydra
from omegaconf import DictConfig

from lightning_nas.run.cli import print_user_errors, run_command


@hydra.main(version_base="1.3", config_path="configs", config_name="train")
def main(cfg: DictConfig) -> None:
    """Do what the configuration says."""
    from lightning_nas.run.train import train  # torch and Lightning: not needed for --help

    with print_user_errors():
        train(cfg)


if __name__ == "__main__":
    run_command(main)
