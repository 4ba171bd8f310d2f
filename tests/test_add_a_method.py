"""A method, a space and images of one's own: files outside of the project, none in it altered."""

import json
import sqlite3

import pytest
from commands import run, status_of, succeed

from lightning_nas import load_architecture

TABLE = ["experiment=nas_bench_201", "method=local_search"]
TABLE += ["method.samples=60", "method.finalists=0"]
NEIGHBOURS = 6 * 4  # six edges, each with four other operations
QUIET = ["logger=csv", "callbacks.progress=null"]
REST = {"architecture.json", "architecture.svg", "architecture.png", "top.csv", "pareto.csv"}
REST |= {"trials.sqlite", "metrics.csv", "summary.json", "checkpoints", ".hydra"}


@pytest.fixture(scope="module")
def searched(configs, tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    output = succeed(
        "search.py", "--config-dir", configs, *TABLE, *QUIET, f"hydra.run.dir={folder}"
    )
    return folder, output


def trials(folder):
    """Decisions and rewards of a search's architectures, in their order."""
    query = "SELECT tokens, reward FROM trials WHERE arm = 'policy' ORDER BY number"
    with sqlite3.connect(folder / "trials.sqlite") as database:
        return [(tuple(json.loads(tokens)), reward) for tokens, reward in database.execute(query)]


def distance(one, other):
    return sum(a != b for a, b in zip(one, other, strict=True))


def test_a_method_of_ones_own_leaves_a_whole_run_folder(searched):
    folder, output = searched
    assert {path.name for path in folder.iterdir()} >= REST
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["method"] == "local_search"
    assert summary["status"] == "complete"
    assert 50 < summary["derived_from"] == len(trials(folder)) < 60  # of 60 with the random arm
    assert load_architecture(str(folder)).kind == "edge_cell"
    assert f"python train.py architecture={folder}" in output


def test_it_moves_to_better_neighbours_and_begins_anew_where_there_are_none(searched):
    stood, tried, moves = None, set(), 0
    for tokens, reward in trials(searched[0]):
        if stood is None:
            stood, tried = (tokens, reward), set()
            continue
        assert distance(tokens, stood[0]) == 1
        tried.add(tokens)
        if reward > stood[1]:
            stood, tried, moves = (tokens, reward), set(), moves + 1
        elif len(tried) == NEIGHBOURS:
            stood = None
    assert moves >= 3


@pytest.mark.slow
def test_it_goes_on_as_if_it_had_not_stopped(searched, configs, tmp_path):
    half = ["method.samples=33", *QUIET, f"hydra.run.dir={tmp_path}"]
    succeed("search.py", "--config-dir", configs, *TABLE, *half)
    assert run("search.py", f"resume={tmp_path}", "method.samples=60")[0] == 2
    succeed("search.py", "--config-dir", configs, f"resume={tmp_path}", "method.samples=60")
    assert trials(tmp_path) == trials(searched[0])


@pytest.mark.slow
def test_it_trains_children_and_says_what_they_would_need(configs, tmp_path):
    own = ["--config-dir", configs, "experiment=nas_digits", "method=local_search", "debug=smoke"]
    arguments = [*own, *QUIET, f"hydra.run.dir={tmp_path}"]
    output = succeed("search.py", *arguments, "dry_run=true")
    assert "a child" in output
    succeed("search.py", *arguments)
    assert status_of(tmp_path) == "complete"
    assert load_architecture(str(tmp_path)).kind == "chain"


@pytest.mark.slow
def test_a_space_and_images_of_ones_own_are_searched_and_trained_on(configs, tmp_path):
    search, train = tmp_path / "search", tmp_path / "train"
    succeed(
        "search.py", "--config-dir", configs, "space=twin", "data=stripes", *QUIET,
        "trainer.max_epochs=2", "method.controller_steps=4", "callbacks.derive.samples=4",
        f"hydra.run.dir={search}",
    )  # fmt: skip
    found = load_architecture(str(search))
    assert found.normal == found.reduction
    succeed(
        "train.py", "--config-dir", configs, f"architecture={search}", "trainer.max_epochs=4",
        "network.filters=4", *QUIET, f"hydra.run.dir={train}",
    )  # fmt: skip
    summary = json.loads((train / "summary.json").read_text())
    assert summary["data"] == "stripes"
    assert summary["test_accuracy"] > 0.9  # two classes


@pytest.mark.slow
@pytest.mark.parametrize("experiment", ["enas_micro_digits", "nas_digits", "nasnet_digits"])
def test_a_controller_from_outside_learns_with_every_method(configs, tmp_path, experiment):
    arguments = [f"experiment={experiment}", "controller=logits", "debug=smoke", *QUIET]
    arguments += ["method.grow_every=2"] if experiment == "nas_digits" else []
    succeed("search.py", "--config-dir", configs, *arguments, f"hydra.run.dir={tmp_path}")
    assert status_of(tmp_path) == "complete"
    assert load_architecture(str(tmp_path)).kind == {"nas_digits": "chain"}.get(experiment, "cell")
