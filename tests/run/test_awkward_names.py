"""Paths with any characters in the arguments of a command, and the commands that are printed."""

import json
import shlex

import pytest
from commands import ROOT, succeed
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from PIL import Image

from lightning_nas.errors import InputError
from lightning_nas.files import write_yaml
from lightning_nas.run.arguments import complete_arguments
from lightning_nas.run.overrides import make_argument, normalise_arguments
from lightning_nas.storage.run_folder import shell_path

NAMES = [
    *("my wörk", "proj (1)", "lr=0.1", "a,b", "[x]", "{y}", "$x", "${x}", "it's", 'say "hi"'),
    *(
        "#1",
        "50%",
        "a;b",
        "a&b",
        "null",
        "true",
        "1e3",
        "~x",
        "back\\slash",
        "ends\\",
        "<x>",
        "日本",
    ),
    *(" lead", "trail ", "x:y", "*", "-x", "!"),
]
SETTINGS = ("architecture", "data.root")


@pytest.fixture(scope="module")
def hydra_reads(tmp_path_factory):
    """Return a function from arguments to the configuration that Hydra composes from them."""
    folder = tmp_path_factory.mktemp("configs")
    config = OmegaConf.from_dotlist([f"{name}=null" for name in SETTINGS])
    write_yaml(folder / "config.yaml", OmegaConf.to_container(config))
    with initialize_config_dir(str(folder), version_base="1.3"):
        yield lambda arguments: compose("config", arguments)


@pytest.mark.parametrize("name", NAMES)
def test_hydra_reads_a_path_whatever_its_characters_are(name, hydra_reads, tmp_path, monkeypatch):
    """Given as it is, in Hydra's quotes, and as our messages print it."""
    folder = tmp_path / name
    folder.mkdir()
    monkeypatch.chdir(tmp_path)
    for write in ("{}={}".format, make_argument):
        given = [write("architecture", folder), write("data.root", f"./{name}")]
        cfg = hydra_reads(normalise_arguments(given))
        assert (cfg.architecture, cfg.data.root) == (str(folder), f"./{name}")
    if name != "null":  # no file, for all settings
        printed = shlex.split(f"python train.py architecture={shell_path(folder)}")[2:]
        assert hydra_reads(normalise_arguments(printed)).architecture == name


@pytest.mark.parametrize("name", ["my wörk", "lr=0.1", "a,b", "[x]", "{y}", "it's", "a;b", "<x>"])
@pytest.mark.parametrize("setting", ["hydra.run.dir", "data.root"])
def test_a_new_path_that_hydra_cannot_read_is_shown_in_quotes(setting, name, tmp_path):
    path = name if name.startswith("[") else str(tmp_path / name)  # /[x] is a legal path for Hydra
    with pytest.raises(InputError) as raised:
        normalise_arguments([f"{setting}={path}"])
    message, _, advice = str(raised.value).partition("need quotes: ")
    assert message.startswith(f"{setting}={path}: ")
    assert normalise_arguments(shlex.split(advice)) == [make_argument(setting, path)]


@pytest.mark.parametrize("setting", ["seed=a=b", "+x=(", "method.samples={", "foo", "train.py"])
def test_other_settings_that_hydra_cannot_read_are_named(setting):
    with pytest.raises(InputError) as raised:
        normalise_arguments(["threads=1", setting])
    assert str(raised.value).startswith(f"{setting}: ")
    assert "\n" not in str(raised.value)


def test_the_home_folder_is_expanded(hydra_reads, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "my home"))
    for given in ("~/x", "'~/x'", "~"):
        read = hydra_reads(normalise_arguments([f"data.root={given}"])).data.root
        assert read == str(tmp_path / "my home") + given.strip("'").removeprefix("~")


def test_flags_may_stand_anywhere():
    given = ["experiment=nas_digits", "-m", "seed=1,2", "--config-dir", "lr=0.1", "threads=1"]
    assert normalise_arguments(given) == [
        *("-m", "--config-dir", "lr=0.1"),
        *("experiment=nas_digits", "seed=1,2", "threads=1"),
    ]
    assert normalise_arguments(["-m", "architecture=a,b"]) == ["-m", "architecture=a,b"]
    with pytest.raises(InputError, match="need quotes"):
        normalise_arguments(["architecture=a,b"])


@pytest.mark.parametrize("name", ["my wörk", "a,b", "lr=0.1", "it's", "${x}", "null", "ends\\"])
@pytest.mark.parametrize("setting", ["architecture", "weights"])
def test_the_data_of_a_run_are_found_under_any_name(setting, name, hydra_reads, tmp_path):
    images, run = tmp_path / "images" / name, tmp_path / "runs" / name
    (run / ".hydra").mkdir(parents=True)
    write_yaml(run / ".hydra" / "config.yaml", {"data": {"root": str(images)}})
    hydra = {"runtime": {"choices": {"data": "image_folder"}}}
    hydra["overrides"] = {"task": [make_argument("data.root", images)]}
    write_yaml(run / ".hydra" / "hydra.yaml", {"hydra": hydra})
    added = complete_arguments([make_argument(setting, run)])
    roots = [argument for argument in added if argument.startswith("data.root=")]
    assert hydra_reads(roots).data.root == str(images)


@pytest.mark.slow
def test_every_command_works_in_a_folder_with_an_awkward_name(tmp_path):
    place = tmp_path / "my wörk (1), lr=0.1 it's"
    for split, label, index in [
        (s, c, i) for s in ("train", "test") for c in "ab" for i in range(12)
    ]:
        path = place / "images" / split / label / f"{index}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (8, 8), index * 4 + 200 * (label == "a")).save(path)
    quiet = ["logger=csv", "callbacks.progress=null"]
    data = ["data=image_folder", f"data.root={place / 'images'}", "data.batch_size=4"]

    def folder(name):
        return make_argument("hydra.run.dir", place / name)

    search = ["debug=smoke", *data, *quiet, "trainer.max_epochs=1", folder("search")]
    printed = succeed("search.py", *search).splitlines()
    command = next(line for line in printed if line.startswith("train it"))
    words = shlex.split(command.removeprefix("train it"))[1:]
    succeed(*words, *quiet, "debug=smoke", *data, "trainer.max_epochs=1", folder("train"))
    summary = json.loads((place / "train" / "summary.json").read_text())
    assert summary["data"] == "image_folder"
    weights = f"weights={place / 'train'}"
    succeed("train.py", "mode=test", weights, *quiet, folder("test"))
    images = f"images={place / 'images' / 'test'}"
    succeed("train.py", "mode=predict", weights, images, *quiet, folder("predict"))
    succeed("train.py", "mode=export", weights, "export=safetensors", *quiet, folder("export"))
    succeed("train.py", f"resume={place / 'train'}", "trainer.max_epochs=2")
    succeed("search.py", f"resume={place / 'search'}", "trainer.max_epochs=2")
    succeed("-m", "lightning_nas.report", place / "search")
    few = ["--architectures=3", "--sampled=0", "--epochs=1", "--batches=2"]
    root = f"data.root={place / 'images'}"
    succeed("-m", "lightning_nas.judge", place / "search", *few, root)
    assert (place / "search" / "weight_sharing.json").exists()
    assert not (ROOT / "my").exists()


@pytest.mark.parametrize("name", ["5", "007", "1e3", "1e-400", "0.50"])
def test_a_path_that_looks_like_a_number_stays_as_it_was_written(name, hydra_reads):
    assert hydra_reads(normalise_arguments([f"architecture={name}"])).architecture == name
