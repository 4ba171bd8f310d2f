"""ENAS in two real processes: their samples differ, their weights stay equal."""

import pytest
from commands import succeed


@pytest.mark.parametrize(
    ("precision", "batch_norm"),
    [("32-true", "batch"), ("bf16-mixed", "batch"), ("32-true", "running")],
)
def test_two_processes_stay_equal(precision, batch_norm, tmp_path):
    # Lightning forks; torch's threads, which an earlier test may have started, do not survive that
    succeed("-m", "tests.two_processes", precision, batch_norm, tmp_path)
