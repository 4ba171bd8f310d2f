"""Helpers that all benchmarks share: threads, device, quiet fits."""

import argparse
import logging
import warnings

import pytorch_lightning as pl
import torch


def parse(parser: argparse.ArgumentParser, *, device: bool = True) -> argparse.Namespace:
    """Read the command line with ``--threads`` and ``--device`` added, and set torch's threads.

    Args:
        parser: Parser with the options of the benchmark.
        device: Whether the benchmark can run on a GPU. If true, ``.device`` is a ``torch.device``.
    """
    parser.add_argument("--threads", type=int, help="torch's threads (default: torch's choice)")
    if device:
        parser.add_argument(
            "--device", type=torch.device, default="cpu", help="cpu or cuda (default: cpu)"
        )
    arguments = parser.parse_args()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    return arguments


def quiet() -> None:
    """Silence Lightning, which reports the hardware and short fits once for every Trainer."""
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore")


def fit(search: pl.LightningModule, folder: str) -> None:
    """Run a whole search by trials without output. It writes only into ``folder``."""
    pl.Trainer(
        max_epochs=-1,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=folder,
    ).fit(search)
