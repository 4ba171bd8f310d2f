"""The examples of sweeps: W&B's, read as its agent reads it, and Optuna's."""

import itertools
import json
from importlib.util import find_spec

import pytest
import yaml
from commands import ROOT, succeed
from wandb.sdk.launch.sweeps.utils import (
    create_sweep_command,
    create_sweep_command_args,
    load_sweep_config,
)

from lightning_nas import load_architecture
from lightning_nas.errors import InputError
from lightning_nas.run import arguments
from lightning_nas.run.arguments import complete_arguments
from lightning_nas.search.result import RankedArchitecture, SearchResult
from lightning_nas.storage.trial import POLICY, Outcome, Proposal, Trial

SWEEPS = sorted((ROOT / "sweeps").glob("*.yaml"))
NEEDS_OPTUNA = pytest.mark.skipif(
    find_spec("optuna") is None, reason="pip install -r requirements-optuna.txt"
)


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


@pytest.mark.slow
@NEEDS_OPTUNA
def test_optuna_finds_the_settings_of_the_search_with_the_highest_mean_reward(tmp_path):
    output, found = sweep_with_optuna(tmp_path, "hydra.sweeper.n_trials=3", "method.samples=60")
    runs = [tmp_path / str(number) for number in range(3)]
    rewards = [read_summary(run)["sampled_mean"] for run in runs]
    assert found["best_value"] == max(rewards) > min(rewards)
    assert f"Best value: {max(rewards)}" in output
    best = runs[rewards.index(max(rewards))]
    config = yaml.safe_load((best / ".hydra" / "config.yaml").read_text())
    settings = {name: select(config, name) for name in found["best_params"]}
    assert settings == found["best_params"]
    assert set(settings) == {"method.controller.optimizer.lr", "method.controller.entropy_weight"}
    assert (tmp_path / "report.html").exists()


@pytest.mark.slow
@NEEDS_OPTUNA
def test_objective_is_the_number_that_optuna_gets(tmp_path):
    short = ["hydra.sweeper.n_trials=1", "debug=smoke"]
    _, found = sweep_with_optuna(tmp_path, "objective=best_reward", *short)
    summary = read_summary(tmp_path / "0")
    assert found["best_value"] == summary["best_reward"] != summary["sampled_mean"]


def sweep_with_optuna(folder, *settings):
    """Run the example, shortened; return what it printed and what Optuna found."""
    output = succeed(
        "search.py", "-m", "experiment=nas_bench_201", "hydra/sweeper=optuna_nasnet", *settings,
        "logger=csv", "callbacks.progress=null", f"hydra.sweep.dir={folder}",
    )  # fmt: skip
    return output, yaml.safe_load((folder / "optimization_results.yaml").read_text())


def read_summary(run):
    return json.loads((run / "summary.json").read_text())


def test_message_on_missing_optuna_has_the_command_to_install_it(monkeypatch):
    monkeypatch.setattr(arguments, "find_spec", lambda name: None)
    with pytest.raises(InputError, match="hydra/sweeper=optuna_nasnet needs packages: ") as raised:
        complete_arguments(["-m", "hydra/sweeper=optuna_nasnet"])
    _, *lines = (ROOT / "requirements-optuna.txt").read_text().splitlines()
    pins = [line.split("#")[0].strip() for line in lines]
    assert str(raised.value).endswith(f"pip install {' '.join(pins)}")
