"""Arguments that train.py takes from a run folder, and arguments that are refused."""

import os
import re
from contextlib import closing

import pytest

from lightning_nas.errors import InputError
from lightning_nas.files import name_part, write_yaml
from lightning_nas.run.arguments import complete_arguments
from lightning_nas.run.network_settings import find_searched_size
from lightning_nas.storage.journal import Journal
from lightning_nas.storage.run_folder import RunFolder
from lightning_nas.storage.trial import FINALIST, Outcome, Proposal


@pytest.fixture
def run(tmp_path):
    """A run folder as Hydra writes it, of a search on the user's own images."""
    folder = tmp_path / ".hydra"
    folder.mkdir()
    (folder / "config.yaml").write_text("train_with: recipe=cifar network.dropout=0.5\n")
    (folder / "hydra.yaml").write_text(
        """
hydra:
  runtime:
    choices: {data: image_folder}
    config_sources: [{path: /project/configs, schema: file, provider: main}]
  overrides: {task: [experiment=x, data.root=/images, data.batch_size=8, trainer.max_epochs=3]}
"""
    )
    return tmp_path


def added_arguments(run, *arguments):
    return complete_arguments([f"architecture={run}", *arguments])[: -1 - len(arguments)]


def test_training_takes_data_and_recipe_of_the_search(run):
    expected = ["recipe=cifar", "network.dropout=0.5", "data=image_folder", "data.root=/images"]
    assert added_arguments(run) == expected
    assert complete_arguments([f"architecture={run}/architecture.json"])[:-1] == expected


def test_search_without_data_recommends_data(run):
    (run / ".hydra" / "config.yaml").write_text("train_with: data=cifar10\n")
    path = run / ".hydra" / "hydra.yaml"
    path.write_text(path.read_text().replace("image_folder", "null").replace("data.root", "seed"))
    assert "data=cifar10" in added_arguments(run)
    assert not any(word.startswith("data=None") for word in added_arguments(run))


def test_arguments_of_the_user_win(run):
    assert added_arguments(run, "network.dropout=0", "data.root=/b") == [
        "recipe=cifar",
        "data=image_folder",
    ]


def test_another_recipe_drops_the_settings_of_the_recommended_recipe(run):
    assert added_arguments(run, "recipe=quick") == ["data=image_folder", "data.root=/images"]
    assert added_arguments(run, "debug=smoke") == []
    (run / ".hydra" / "config.yaml").write_text("train_with: recipe=cifar threads=1\n")
    assert added_arguments(run, "recipe=quick")[0] == "threads=1"  # of the machine, not the recipe


def test_added_arguments_follow_the_options(run):
    for flag in ("-m", "--config-dir=configs"):
        given = [flag, f"architecture={run}", "seed=1,2"]
        assert complete_arguments(given) == [flag, *added_arguments(run), *given[1:]]


def test_other_data_replace_all_data_arguments(run):
    assert added_arguments(run, "data=digits") == ["recipe=cifar", "network.dropout=0.5"]


def test_outside_configurations_of_a_run_are_only_read_if_the_user_gives_their_folder(run):
    path, own = run / ".hydra" / "hydra.yaml", run / "my own"
    (own / "data").mkdir(parents=True)
    (own / "data" / "mine.yaml").write_text("images: 3\n")
    source = f"{{path: '{own}', schema: file, provider: command-line}}"
    text = path.read_text().replace("provider: main}", f"provider: main}}, {source}")
    path.write_text(text.replace("image_folder", "mine"))
    with pytest.raises(InputError, match="data=mine is a configuration from outside"):
        added_arguments(run)
    assert "data=mine" in complete_arguments([f"architecture={run}", "--config-dir", str(own)])
    assert added_arguments(run, "data=digits") == ["recipe=cifar", "network.dropout=0.5"]


@pytest.mark.parametrize("architecture", ["enas_micro", "nowhere/architecture.json"])
def test_architecture_without_a_run_folder_adds_nothing(architecture):
    arguments = [f"architecture={architecture}", "seed=1"]
    assert complete_arguments(arguments) == arguments


def test_resume_refuses_settings_that_the_checkpoint_holds(run):
    with pytest.raises(InputError, match="begin a new run"):
        complete_arguments([f"resume={run}", "method.supernet.optimizer.lr=0.1"])


@pytest.mark.parametrize("name", ["top.csv", "checkpoints/last.ckpt"])
def test_a_resume_refuses_a_pipe_in_place_of_a_file(name, run):
    (run / name).parent.mkdir(exist_ok=True)
    os.mkfifo(run / name)
    with pytest.raises(InputError, match=f"{name}: not a regular file"):
        complete_arguments([f"resume={run}"])


def test_a_resume_refuses_an_empty_journal_beside_a_checkpoint(run):
    (run / "trials.sqlite").touch()
    complete_arguments([f"resume={run}"])  # stopped before its first trial
    (run / "checkpoints").mkdir()
    (run / "checkpoints" / "last.ckpt").touch()
    with pytest.raises(InputError, match=r"trials\.sqlite: damaged: it is empty"):
        complete_arguments([f"resume={run}"])


def test_a_number_with_thousands_of_digits_is_refused(run):
    with pytest.raises(InputError, match="not a number"):
        complete_arguments([f"resume={run}", f"method.samples={'9' * 5000}"])


def test_complete_arguments_stay_unchanged(run):
    whole = complete_arguments([f"resume={run}", "trainer.max_epochs=2"])
    assert complete_arguments([*whole, "hydra.job.name=x"]) == [*whole, "hydra.job.name=x"]


def test_processes_started_by_torchrun_need_one_folder(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(InputError, match=r"hydra\.run\.dir=RUN"):
        complete_arguments(["seed=1"])
    assert complete_arguments(["hydra.run.dir=x"]) == ["hydra.run.dir=x"]


def test_image_sizes_of_a_recipe_are_added(run):
    config = run / ".hydra" / "config.yaml"
    config.write_text("data: {root: /images, image_size: 224, crop: 0.875, batch_size: 8}\n")
    assert added_arguments(run) == [
        "data=image_folder", "data.root=/images", "data.image_size=224", "data.crop=0.875"
    ]  # fmt: skip
    assert "data.image_size=224" not in added_arguments(run, "data.image_size=96")
    assert added_arguments(run, "data=digits") == []


def test_weights_add_their_data_and_finetuning(run):
    images = ["data=image_folder", "data.root=/images"]
    for weights in (run, run / "checkpoints" / "best.ckpt"):
        added = complete_arguments([f"weights={weights}"])
        assert set(added) == {*images, f"weights={weights}", "recipe=finetune"}
        assert "recipe=finetune" not in complete_arguments([f"weights={weights}", "recipe=quick"])
    assert complete_arguments(["weights=nasnet_a_large"]) == [
        "weights=nasnet_a_large",
        "recipe=finetune",
    ]
    assert complete_arguments([f"weights={run}", "mode=test"]) == [f"weights={run}", "mode=test"]


CHILDREN = "evaluation: {network: {cells: 2, filters: 6, drop_path: 0.4}}\n"
SIZE = ["network.filters=6", "network.cells=2", "network.stem=cifar"]


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (CHILDREN, SIZE),
        (CHILDREN + "train_with: recipe=cifar network.cells=6\n",
         ["recipe=cifar", "network.cells=6", "network.filters=6", "network.stem=cifar"]),
        ("evaluation: {network: {}}\n",
         ["network.filters=null", "network.cells=null", "network.stem=cifar"]),
        ("evaluation: {network: {stem: imagenet, stem_filters: 8}}\n",
         ["network.filters=null", "network.cells=null", "network.stem=imagenet",
          "network.stem_filters=8"]),
        ("evaluation: {dataset: cifar10}\n", []),  # a table
        (CHILDREN + "supernet: {filters: 4}\nmethod: {finalists: 0}\n", []),  # ENAS
        (CHILDREN + "supernet: {filters: 4}\nmethod: {finalists: 3}\n", SIZE),
    ],
)  # fmt: skip
def test_a_training_has_the_size_of_the_children(config, expected, run):
    (run / ".hydra" / "config.yaml").write_text(config)
    data = ["data=image_folder", "data.root=/images"]
    assert added_arguments(run) == [*expected, *data]
    asked = [one for one in expected if not one.startswith("network.filters=")]
    assert added_arguments(run, "network.filters=32") == [*asked, *data]
    assert added_arguments(run, "recipe=quick") == data


def test_the_size_in_the_search_is_found_for_each_of_its_architectures(run):
    for table, sizes in (("top", (300, 200)), ("pareto", (100, 300))):
        rows = [f"{size},{table}/{place}.json" for place, size in enumerate(sizes, start=1)]
        (run / f"{table}.csv").write_text("\n".join(["parameters,architecture", *rows]))
    sizes = {"": 300, "architecture.json": 300, "top/2.json": 200, "pareto/1.json": 100}
    assert {path: find_searched_size(str(run / path)) for path in sizes} == sizes
    assert find_searched_size(str(run / "top" / "9.json")) is None
    assert find_searched_size("enas_micro") is None
    assert find_searched_size(None) is None


# ---- resume -------------------------------------------------------------------------------------

SEARCH = {
    "seed": 1,
    "method": {
        "samples": 20,
        "finalists": 2,
        "finalist_epochs": 3,
        "finalist_seeds": 1,
        "batch": 4,
        "control": 0.1,
    },
    "space": {"_target_": "lightning_nas.spaces.cell.CellSpace", "blocks": 2},
    "evaluation": {"epochs": 2, "network": {"cells": 2}, "trainer": {"precision": "32-true"}},
    "data": {"root": "/images", "batch_size": 8, "image_size": None, "num_workers": 2},
    "trainer": {"max_epochs": -1, "devices": 1, "precision": "32-true"},
    "callbacks": {"derive": {"samples": 3}},
}
LEGAL = [
    *("method.samples=30", "trainer.max_epochs=4", "method.finalists=3", "callbacks.progress=null"),
    *("callbacks.derive.samples=9", "+executor.slots=2", "trainer.devices=2", "paths.data=x"),
    *("data.num_workers=0", "logger.wandb=null", "~callbacks.derive", "hydra.verbose=true"),
    *("evaluation.threads=1", "+trainer.max_time=00:01:00:00", "trainer.strategy=ddp"),
    *(
        "evaluation.epochs=2",
        "data.root=/images",
        "data.image_size=null",
        "data.root='/images'",
        "data.root=/moved",
    ),
    *("evaluation.network={cells:2}", "+space.blocks=2", "++evaluation.trainer.precision=32-true"),
]
INCOMPARABLE = [
    *("evaluation.epochs=1", "data.batch_size=16", "+data.mean=[0.5]"),
    *("evaluation.network.cells=1", "+evaluation.network.filters=4", "~evaluation.network.cells"),
    *(
        "data.image_size=32",
        "evaluation.trainer.precision=bf16-mixed",
        "trainer.precision=16-mixed",
    ),
    *("space.blocks=3", "method.batch=8", "method.control=0.3", "+method.budget.cost=latency"),
    *("++evaluation.power=3.0", "+evaluation.time_limit=5", "data.seed=7"),
    *("data._target_=lightning_nas.data.digits.Digits", "method.executors=x", "+train_with.a=b"),
]


@pytest.fixture
def search(tmp_path):
    (tmp_path / ".hydra").mkdir()
    write_yaml(tmp_path / ".hydra" / "config.yaml", SEARCH)
    return tmp_path


@pytest.mark.parametrize("setting", LEGAL)
def test_a_resumed_search_may_change_its_length_and_the_machine(setting, search):
    assert complete_arguments([f"resume={search}", setting])[-1] == setting


@pytest.mark.parametrize("setting", INCOMPARABLE)
def test_a_resumed_search_may_change_nothing_else(setting, search):
    with pytest.raises(InputError, match="could not be compared") as raised:
        complete_arguments([f"resume={search}", "method.samples=30", setting])
    assert str(raised.value).startswith(f"{setting}: ")


@pytest.fixture
def search_with_finalist(search):
    with closing(Journal(search / "trials.sqlite", "x")) as journal:
        journal.propose([Proposal(0, (1,), (), 0, FINALIST)], ["{}"])
        journal.end(0, Outcome(0.5, (0.5,)), 0.5)
    return search


@pytest.mark.parametrize("setting", ["method.finalist_epochs=9", "method.finalist_seeds=2"])
def test_finalists_of_one_ranking_have_equal_trainings(setting, search_with_finalist):
    with pytest.raises(InputError, match=rf"{re.escape(setting)}: .*could not be compared"):
        complete_arguments([f"resume={search_with_finalist}", setting])


@pytest.mark.parametrize("setting", ["method.finalist_epochs=9", "method.finalist_seeds=2"])
def test_before_the_first_finalist_its_trainings_may_change(setting, search):
    assert complete_arguments([f"resume={search}", setting])[-1].removeprefix("++") == setting


@pytest.mark.parametrize("name", ["method.finalist_epochs", "method.finalist_seeds"])
@pytest.mark.parametrize("is_repeated", [False, True])
def test_later_finalists_are_trained_as_an_earlier_resume_trained_the_first(
    name, is_repeated, search_with_finalist
):
    run, recorded = RunFolder(search_with_finalist), f"{name}=9"
    run.write_resume_settings(["method.finalists=1", recorded])
    again = [recorded] if is_repeated else []
    arguments = complete_arguments([f"resume={run.path}", "method.finalists=3", *again])
    given = [one.removeprefix("++") for one in arguments]
    assert [one for one in given if one.startswith("method.")] == ["method.finalists=3", recorded]
    with pytest.raises(InputError, match=rf"^{re.escape(name)}=4: .*could not be compared"):
        complete_arguments([f"resume={run.path}", f"{name}=4"])


def test_a_run_of_an_earlier_version_gets_its_recorded_number_of_trainings(search_with_finalist):
    config = SEARCH | {"method": {k: v for k, v in SEARCH["method"].items() if k[-5:] != "seeds"}}
    write_yaml(search_with_finalist / ".hydra" / "config.yaml", config)
    RunFolder(search_with_finalist).write_resume_settings(["method.finalist_seeds=2"])
    arguments = complete_arguments([f"resume={search_with_finalist}"])
    assert arguments[-1] == "++method.finalist_seeds=2"


def test_without_a_finalist_the_trainings_of_an_earlier_resume_are_forgotten(search):
    RunFolder(search).write_resume_settings(["method.finalist_epochs=9"])
    assert not any("finalist_epochs" in one for one in complete_arguments([f"resume={search}"]))


def test_the_record_of_a_resume_survives_if_the_next_one_cannot_write_its_own(tmp_path):
    run = RunFolder(tmp_path)
    run.hydra.mkdir()
    run.write_resume_settings(["method.finalist_epochs=9"])
    name_part(run.resume_settings).mkdir()  # where the new file would be written
    with pytest.raises(OSError, match="resumed"):
        run.write_resume_settings(["method.finalists=2"])
    assert run.read_resume_settings() == ["method.finalist_epochs=9"]


def test_a_damaged_record_of_an_earlier_resume_is_refused(search_with_finalist):
    run = RunFolder(search_with_finalist)
    run.write_resume_settings(["method.finalist_epochs={_target_: os.getcwd}"])
    with pytest.raises(InputError, match=r"resumed\.yaml: damaged: method\.finalist_epochs="):
        complete_arguments([f"resume={run.path}"])


def test_a_resumed_training_may_change_what_its_checkpoint_does_not_hold(run):
    (run / ".hydra" / "config.yaml").write_text("data: {batch_size: 8}\nmode: fit\n")
    given = [f"resume={run}", "data.batch_size=4"]
    assert complete_arguments(given, "train.py")[-1] == "data.batch_size=4"


@pytest.mark.parametrize(
    ("arguments", "script", "message"),
    [
        ([], "train.py", "run folder of a search: python search.py resume="),
        (["-m"], "search.py", "leave out -m"),
        (["hydra.run.dir=/elsewhere"], "search.py", "a resume writes into the folder"),
        (["++hydra.sweep.dir=/elsewhere"], None, "a resume writes into the folder"),
        (["seed=2"], None, "takes only settings with a dot"),
    ],
)
def test_a_resume_names_the_right_command_and_keeps_its_folder(arguments, script, message, search):
    with pytest.raises(InputError, match=message):
        complete_arguments([f"resume={search}", *arguments], script)


def test_a_training_is_no_search(run):
    with pytest.raises(InputError, match=r"run folder of a training: python train\.py resume="):
        complete_arguments([f"resume={run}"], "/project/search.py")


def test_a_resume_names_the_setting_that_was_meant(search):
    with pytest.raises(InputError, match=r"method.sample: no such setting; did you mean method.sa"):
        complete_arguments([f"resume={search}", "method.sample=30"])
