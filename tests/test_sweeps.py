"""The example of a sweep, read as W&B's agent reads it."""

import itertools

import pytest
import yaml
from commands import ROOT, succeed
from wandb.sdk.launch.sweeps.utils import (
    create_sweep_command,
    create_sweep_command_args,
    load_sweep_config,
)

from lightning_nas import load_architecture
from lightning_nas.search.result import RankedArchitecture, SearchResult
from lightning_nas.storage.trial import POLICY, Outcome, Proposal, Trial

SWEEPS = sorted((ROOT / "sweeps").glob("*.yaml"))


def build_command(sweep, place):
    """Return an agent's settings and command, with the first or last value of each setting."""
    chosen = {name: [*list_values(given)][place] for name, given in sweep["parameters"].items()}
    given = create_sweep_command_args({"args": {n: {"value": v} for n, v in chosen.items()}})
    known = {**given, "env": [], "interpreter": ["python"], "program": [sweep["program"]]}
    words = create_sweep_command(list(sweep["command"]))
    return chosen, list(itertools.chain(*(known.get(w.strip("${}"), [w]) for w in words)))


def list_values(given):
    return given.get("values") or (given["min"], given["max"])


def select(config, name):
    for part in name.split("."):
        config = config[part]
    return config


@pytest.mark.parametrize("path", SWEEPS, ids=lambda path: path.stem)
@pytest.mark.parametrize("place", [0, -1])
def test_commands_of_a_sweep_set_the_given_values(path, place):
    chosen, (python, script, *arguments) = build_command(load_sweep_config(str(path)), place)
    assert python == "python"
    output = succeed(script, *arguments, "--cfg", "job")
    config = yaml.safe_load(output)
    assert config["name"] == path.stem
    for name, value in chosen.items():
        found = select(config, name)
        assert found == pytest.approx(value)


@pytest.mark.parametrize("path", SWEEPS, ids=lambda path: path.stem)
def test_sweep_covers_all_seeds_and_optimizes_a_mean_reward(path):
    sweep = load_sweep_config(str(path))
    assert sweep["method"] == "grid"
    assert len(sweep["parameters"]["seed"]["values"]) > 1
    trial = Trial(Proposal(0, (), (), 0, POLICY), Outcome(0.3), 0.3, 1)
    best = RankedArchitecture(load_architecture("enas_micro"), trial)
    found = SearchResult((best,), sampled=(0.1, 0.3), uniform=(0.9,), how="").summary()
    assert found[sweep["metric"]["name"]] == pytest.approx(
        0.2
    )  # the mean reward of the controller's samples
