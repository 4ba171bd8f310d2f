"""Config groups on the command line: null, unknown options and settings, damaged files."""

import os

import pytest
from commands import ROOT
from hydra import compose, initialize_config_dir
from hydra.errors import HydraException

from lightning_nas.errors import InputError
from lightning_nas.run.groups import check_own_configurations, replace_null_groups
from lightning_nas.run.suggestions import explain_unknown_name


@pytest.fixture(scope="module")
def compose_here():
    with initialize_config_dir(str(ROOT / "configs"), version_base="1.3"):
        yield compose


# ---- null ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("group", ["method", "space", "trainer", "data", "experiment", "paths"])
@pytest.mark.parametrize("value", ["null", ""])
def test_a_group_that_every_run_needs_names_its_options(group, value):
    with pytest.raises(InputError, match=f"^{group}={value}: a run needs one; legal: "):
        replace_null_groups(["seed=1", f"{group}={value}"])


@pytest.mark.parametrize("script", ["search", "train"])
def test_a_run_can_do_without_logger_and_callbacks(script, compose_here):
    arguments = replace_null_groups(["logger=null", "callbacks=null", "debug=null", "seed=3"])
    cfg = compose_here(script, arguments)
    assert not cfg.get("logger")
    # experiments of a search set callbacks.derive.samples, whose callback is left out
    assert not [part for part in cfg.get("callbacks", {}).values() if "_target_" in part]
    assert cfg.seed == 3


def test_other_arguments_stay(compose_here):
    others = ["resume=null", "~data", "+data=null", "-m", "logger.csv=null", "data.mean=null"]
    assert replace_null_groups(others) == others
    cfg = compose_here("train", replace_null_groups(["recipe=null"]))
    assert cfg.network.filters is None


# ---- unknown names -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("script", "argument", "message"),
    [
        ("search", "data.batchsize=3", "data.batchsize: no such setting; did you mean data.batch_"),
        ("search", "dta=digits", "dta: no such setting; did you mean data?"),
        ("search", "sed=1", "sed: no such setting; did you mean seed?"),
        ("search", "method.controler.samples=3", "method.controler: no such setting; did you mean"),
        ("train", "module.optimiser.lr=1", "module.optimiser: no such setting; did you mean mod"),
        ("train", "network.zzz=1", "network.zzz: no such setting; legal: filters, cells, "),
        ("search", "hydra.rundir=x", "hydra.rundir: no such setting; did you mean hydra.run?"),
        ("search", "data=digitz", "data=digitz: no such option; did you mean data=digits? legal: "),
        ("search", "experiment=nas_digit", "experiment=nas_digit: no such option; did you mean"),
        ("search", "hydra/launcher=slrm", "hydra/launcher=slrm: no such option; did you mean"),
        ("train", "recipe=qqq", "recipe=qqq: no such option; legal: cifar, enas_cifar, "),
    ],
)  # fmt: skip
def test_an_unknown_name_is_answered_with_the_nearest(script, argument, message, compose_here):
    with pytest.raises(HydraException) as raised:
        compose_here(script, [argument])
    text = explain_unknown_name(raised.value)
    assert text.startswith(message)
    assert "\n" not in text


def test_other_errors_of_hydra_keep_their_words(compose_here):
    with pytest.raises(HydraException) as raised:
        compose_here("search", ["+data=digits"])
    assert explain_unknown_name(raised.value) is None


# ---- files of the user's own ---------------------------------------------------------------------

BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join([f'*{before}'] * 9)}]\n"
    for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)


def check(folder, text):
    (folder / "experiment").mkdir(exist_ok=True)
    path = folder / "experiment" / "mine.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    check_own_configurations(["--config-dir", str(folder), "experiment=mine", "seed=1"])


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a: 1\nb:\n\t- 2", 3),
        ("a: 1\nb: 2\na: 3", 3),
        ("b: 1\n# caf\xe9\n".encode("latin-1"), 2),
        ("a: [1\n", 2),
        ("a: 1\nb: !!python/object/apply:os.system [id]", 2),
        ("a: !mine 1", 1),
        ("a: *nothing", 1),
        ("a: &x [*x]", 1),
        (BOMB, 6),
        ("? [a]\n: b", 1),
        ("a: 1\n---\nb: 2", 2),
        ("a: " + "[" * 1000, 1),
    ],
    ids=lambda value: ascii(value)[:30],
)
def test_a_damaged_file_is_named_with_its_line(text, line, tmp_path):
    with pytest.raises(InputError) as raised:
        check(tmp_path, text)
    start = f"{tmp_path}/experiment/mine.yaml: damaged: line {line}: "
    assert str(raised.value).startswith(start)
    assert "\n" not in str(raised.value)


def test_a_file_with_anchors_is_legal(tmp_path):
    check(tmp_path, "# @package _global_\nx: &some {a: 1}\ny:\n  <<: *some\n  b: ${x.a}\nz: ???")


def test_a_pipe_does_not_block(tmp_path):
    (tmp_path / "data").mkdir()
    os.mkfifo(tmp_path / "data" / "mine.yaml")
    with pytest.raises(InputError, match="not a regular file"):
        check_own_configurations([f"--config-dir={tmp_path}", "data=mine"])


def test_a_long_value_is_no_file(tmp_path):
    check_own_configurations([f"--config-dir={tmp_path}", f"architecture={'x' * 5000}"])
