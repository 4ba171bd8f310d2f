"""Train an architecture: ``python train.py architecture=RUN``; test, predict or export one."""

import hydra
from omegaconf import DictConfig

from lightning_nas.launch import command, one_line


@hydra.main(version_base="1.3", config_path="configs", config_name="train")
def main(cfg: DictConfig) -> None:
    """Do what the configuration says."""
    from lightning_nas.training import train  # torch and Lightning: not needed for --help

    with one_line():
        train(cfg)


if __name__ == "__main__":
    command(main)
