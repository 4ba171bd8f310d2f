"""Trainings and searches say how far they are and how long they will take."""

import logging
import re
import sys

import pytest
import pytorch_lightning as pl
import torch

from lightning_nas.callbacks.time_left import TimeLeft
from lightning_nas.callbacks.trials_progress import TrialsProgress
from tests.search.test_trial_search import method
from tests.small import enas, trainer


class Line(pl.LightningModule):
    """A module with one weight."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))

    def training_step(self, batch, batch_idx):
        return (self.weight - batch).square().sum()

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


@pytest.fixture
def lines(caplog):
    """Return a function that lists the lines on the time left."""
    caplog.set_level(logging.INFO, "lightning_nas")
    return lambda: [one.getMessage() for one in caplog.records if "left" in one.getMessage()]


@pytest.mark.parametrize(("epochs", "count"), [(1, 0), (4, 1)])
def test_the_time_left_is_logged_once_unless_the_first_epoch_is_the_last(
    epochs, count, lines, tmp_path
):
    images = torch.utils.data.DataLoader(torch.ones(3))
    trainer(tmp_path, epochs, [TimeLeft()]).fit(Line(), images)
    assert len(lines()) == count
    pattern = r"epoch 1 of 4 took 0\.\d seconds; about [01] seconds left"
    assert all(re.fullmatch(pattern, one) for one in lines())


def test_lines_follow_within_long_epochs_also_in_a_search_with_shared_weights(lines, tmp_path):
    search = enas()
    trainer(tmp_path, 2, [TimeLeft(seconds=0)]).fit(search)
    steps = len(search.train_dataloader())
    assert len(lines()) == 2 * steps  # one at each step but the last, and one after the first epoch
    pattern = r"epoch [12] of 2( took .*)?; about \d+ seconds left before the final choice"
    assert all(re.fullmatch(pattern, one) for one in lines())


def test_a_search_by_trials_counts_architectures_and_those_from_before_a_resume(lines, tmp_path):
    for samples in (10, 14):
        callbacks = [TrialsProgress(), TimeLeft(seconds=0)]
        trainer(tmp_path, -1, callbacks).fit(method("random_search", tmp_path, samples=samples))
    counts = [*[(n, 10) for n in range(1, 10)], *[(n, 14) for n in range(11, 14)]]
    end = "about 0 seconds left before the final choice"
    assert lines() == [f"architecture {n} of {total}; {end}" for n, total in counts]


def test_a_bar_on_a_terminal_replaces_the_lines(lines, tmp_path, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)  # where this bar is drawn
    callbacks = [TrialsProgress(), TimeLeft(seconds=0)]
    trainer(tmp_path, -1, callbacks).fit(method("random_search", tmp_path, samples=10))
    assert lines() == []
    trainer(tmp_path, -1, callbacks[1:]).fit(method("random_search", tmp_path, samples=14))
    assert len(lines()) == 3
