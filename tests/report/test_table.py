"""The tables that a search writes, and the lines that it prints."""

import csv

from lightning_nas.published import load_architecture
from lightning_nas.report.table import format_best, write_tables
from lightning_nas.search.result import RankedArchitecture, SearchResult
from lightning_nas.storage.trial import Outcome, Proposal, Trial

ARCHITECTURES = [load_architecture(name) for name in ("enas_micro", "nasnet_a", "nas_2017")]


def make_ranked(place, parameters=1_234_567):
    outcome = Outcome(0.9 - place / 10, (0.5, 0.9 - place / 10), parameters, 10 * parameters)
    proposal = Proposal(7 * place, (place,))
    return RankedArchitecture(
        ARCHITECTURES[place], Trial(proposal, outcome, outcome.reward, place + 1)
    )


def make_result(top, front):
    return SearchResult(
        tuple(map(make_ranked, top)), (0.5,), (), "Reward", tuple(map(make_ranked, front))
    )


def read(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_every_row_of_a_table_has_its_architecture(tmp_path):
    write_tables(make_result([0, 1, 2], [2, 0]), tmp_path)
    for name, places in (("top", [0, 1, 2]), ("pareto", [2, 0])):
        rows = read(tmp_path / f"{name}.csv")
        assert [int(row["trial"]) for row in rows] == [7 * place for place in places]
        for row, place in zip(rows, places, strict=True):
            assert load_architecture(tmp_path / row["architecture"]) == ARCHITECTURES[place]
            assert float(row["accuracy"]) == 0.9 - place / 10
            assert row["parameters"] == "1234567"


def test_a_shorter_table_deletes_the_architectures_of_a_longer_one(tmp_path):
    write_tables(make_result([0, 1, 2], [0]), tmp_path)
    write_tables(make_result([1], []), tmp_path)
    assert [path.name for path in (tmp_path / "top").iterdir()] == ["1.json"]


def test_the_printed_lines_have_reward_accuracy_and_parameters():
    first, *rest = format_best([make_ranked(0), make_ranked(1)]).splitlines()
    assert first.split() == ["the", "best", "trial", "reward", "accuracy", "parameters"]
    assert [line.split() for line in rest] == [
        ["top/1.json", "0", "0.9000", "90.00%", "1,234,567"],
        ["top/2.json", "7", "0.8000", "80.00%", "1,234,567"],
    ]
