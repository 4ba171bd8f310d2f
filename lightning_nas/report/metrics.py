"""Curves from the rows of ``metrics.csv``."""

from collections.abc import Mapping, Sequence


def read_curve(
    metrics: Sequence[Mapping[str, float]], metric: str
) -> tuple[list[float], list[float]]:
    """Return the epochs (from 1) and values of a metric; empty lists for an unlogged metric.

    The column ``METRIC_epoch`` is preferred, because that column has one value per epoch.

    Args:
        metrics: Rows of ``metrics.csv``.
        metric: Name of the metric.
    """
    for column in (f"{metric}_epoch", metric):
        rows = [row for row in metrics if column in row and "epoch" in row]
        if rows:
            return [row["epoch"] + 1 for row in rows], [row[column] for row in rows]
    return [], []
