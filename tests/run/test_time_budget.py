"""``minutes=N``: shorter searches and trainings, with schedules that end at a low rate."""

import json

import pytest
import torch
import yaml
from commands import run, succeed
from torch.optim.lr_scheduler import CosineAnnealingWarmRestarts

from lightning_nas.run.time_budget import scale_periods

QUIET = ["callbacks.progress=null", "logger=null", "debug=smoke"]
FOREVER = 10_000_000


def settings_of(folder):
    return yaml.safe_load((folder / ".hydra" / "config.yaml").read_text())


@pytest.mark.parametrize(("period", "growth", "wanted"), [(10, 2, 630), (24, 1, 24), (10, 2, 150)])
@pytest.mark.parametrize("most", [1, 2, 5, 9, 24, 63, 149])
def test_a_scaled_schedule_ends_at_a_low_rate(period, growth, wanted, most):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    most = min(most, wanted)
    first, epochs = scale_periods(period, growth, wanted, most)
    schedule = CosineAnnealingWarmRestarts(optimizer, first, growth)
    rates = []
    for _ in range(epochs):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    assert 0.9 * most <= epochs <= most
    assert rates[0] == 1
    assert optimizer.param_groups[0]["lr"] == 1  # the next epoch would begin a new period


def test_a_time_that_is_too_short_is_one_line(tmp_path):
    for script in ("train.py", "search.py"):
        folder = tmp_path / script
        status, _, errors = run(script, *QUIET, "minutes=1e-5", f"hydra.run.dir={folder}")
        assert status == 2
        line = errors.strip().splitlines()[-1]
        assert line.startswith("error: minutes=1e-05 is too short: an epoch takes")
        assert not folder.exists()


def test_a_time_that_suffices_changes_nothing(tmp_path):
    succeed("train.py", *QUIET, "minutes=1000", f"hydra.run.dir={tmp_path}")
    settings = settings_of(tmp_path)
    assert settings["trainer"]["max_epochs"] == 2
    assert settings["module"]["scheduler"]["epochs"] == "${trainer.max_epochs}"
    assert json.loads((tmp_path / "summary.json").read_text())["epochs"] == 2


def test_a_time_limit_does_not_change_the_weights_of_a_training(tmp_path):
    accuracies = []
    for name, given in {"with": ["minutes=1000"], "without": []}.items():
        succeed("train.py", *QUIET, *given, f"hydra.run.dir={tmp_path / name}")
        accuracies.append(json.loads((tmp_path / name / "summary.json").read_text()))
    assert accuracies[0]["test_accuracy"] == accuracies[1]["test_accuracy"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("script", "minutes", "given"),
    [
        ("train.py", 0.5, [f"trainer.max_epochs={FOREVER}"]),
        ("search.py", 0.5, [f"trainer.max_epochs={FOREVER}", "method.supernet.scheduler.T_0=10"]),
        ("search.py", 1, ["experiment=nasnet_digits", "method.samples=3",
                          f"evaluation.epochs={FOREVER}"]),
    ],
)  # fmt: skip
def test_a_long_run_is_shortened_and_the_folder_keeps_the_choice(tmp_path, script, minutes, given):
    output = succeed(script, *QUIET, *given, f"minutes={minutes}", f"hydra.run.dir={tmp_path}")
    settings = settings_of(tmp_path)
    epochs = [settings["trainer"]["max_epochs"], settings.get("evaluation", {}).get("epochs")]
    assert FOREVER not in epochs
    assert json.loads((tmp_path / "summary.json").read_text())["status"] == "complete"
    assert "run folder" in output
    if script == "train.py":
        assert f"{epochs[0]} of {FOREVER} epochs; more minutes" in output
        assert f"epochs          {epochs[0]} of {FOREVER}" in output
        report = (tmp_path / "report.html").read_text()
        assert f"from {FOREVER} to {epochs[0]} epochs" in report
