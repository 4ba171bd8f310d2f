"""The lines of a dry run of a search with shared weights."""

import pytest
import torch

from lightning_nas.search.estimate import LONG, estimate_epochs, time_precisions

TIMINGS = {"weights": (0.01, 10), "validation": (0.001, 2)}
CPU = torch.device("cpu")


@pytest.mark.parametrize(("bf16", "fastest"), [(0.015, "32-true"), (0.009, "bf16-mixed")])
def test_the_fastest_precision_is_named(bf16, fastest):
    lines = estimate_epochs(TIMINGS, {"32-true": 0.012, "bf16-mixed": bf16}, 5, 3, CPU)
    assert lines["precision"].startswith(f"trainer.precision={fastest} is fastest")


def test_the_advice_names_the_fastest_precision_and_the_number_of_devices(monkeypatch):
    monkeypatch.setattr("lightning_nas.search.estimate._measure_peak_memory", lambda device: 2**30)
    monkeypatch.setattr("torch.cuda.get_device_name", lambda device: "GPU")
    precisions = {"32-true": 0.012, "bf16-mixed": 0.015}
    lines = estimate_epochs(TIMINGS, precisions, int(LONG * 100), 3, torch.device("cuda"))
    assert (
        lines["advice"]
        == "use trainer.precision=32-true, or more GPUs (trainer.devices=N, without finalists)"
    )


def test_a_cpu_does_not_time_precisions():
    def step():
        raise AssertionError

    assert time_precisions(step, CPU, "32-true") == {}
    assert time_precisions(step, torch.device("cuda"), "64-true") == {}
