"""Arguments that train.py takes from a run folder, and arguments that are refused."""

import pytest

from lightning_nas.errors import InputError
from lightning_nas.run.arguments import complete_arguments


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
