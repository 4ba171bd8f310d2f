"""``metrics.csv`` survives a resume without rows twice."""

import csv

from lightning_nas.callbacks.csv_logger import MetricsFile


def test_a_resumed_file_keeps_the_complete_epochs_and_new_columns_fit_in(tmp_path):
    path = tmp_path / "metrics.csv"
    first = MetricsFile(path)
    for epoch in range(3):
        first.log_metrics({"epoch": epoch, "loss": 3.0 - epoch}, step=epoch)
    first.save()
    again = MetricsFile(path)  # epoch 2 was broken off and is begun again
    again.log_metrics({"epoch": 2, "loss": 0.5, "lr": 0.1}, step=2)
    again.save()
    with path.open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["epoch"], row["loss"], row["lr"]) for row in rows] == [
        ("0", "3.0", ""),
        ("1", "2.0", ""),
        ("2", "0.5", "0.1"),
    ]
