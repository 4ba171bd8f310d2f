"""Architecture files: round trips, errors that name the bad field, registered operations."""

import json
import math
import random

import pytest

from lightning_nas import load_architecture
from lightning_nas.architecture import (
    COMBINATIONS,
    NASNET_OPERATIONS,
    OPERATION_NAMES,
    from_json,
    register_name,
    to_json,
    write_architecture,
)
from lightning_nas.errors import InputError
from lightning_nas.spaces.cell import CellSpace
from lightning_nas.spaces.chain import ChainSpace
from lightning_nas.spaces.edge_cell import EdgeCellSpace
from lightning_nas.spaces.macro import MacroSpace

NASNET = CellSpace(5, NASNET_OPERATIONS, combinations=COMBINATIONS, rules="nasnet")
LARGE = [
    CellSpace(blocks=5),
    NASNET,
    MacroSpace(layers=12),
    ChainSpace(layers=6, strides=(1, 2, 3)),
    ChainSpace(layers=13, filters=(6, 12, 24, 36), repeats=3, pools=(3, 7)),
    EdgeCellSpace(filters=8, cells=2),
]
SPACES = [
    *LARGE,
    CellSpace(blocks=1),
    CellSpace(2, ("conv_1x1", "identity"), combinations=["concat"], rules="nasnet"),
    MacroSpace(layers=1),
    ChainSpace(layers=15),
]


def random_tokens(space, seed):
    generator = random.Random(seed)
    return tuple(generator.randrange(n) for n in space.count_token_options())


@pytest.mark.parametrize("space", SPACES)
def test_tokens_and_files_round_trip(space, tmp_path):
    for seed in range(25):
        tokens = random_tokens(space, seed)
        space.validate(tokens)
        architecture = space.decode(tokens)
        assert space.encode(architecture) == tokens
        write_architecture(architecture, tmp_path / "architecture.json")
        assert load_architecture(tmp_path) == architecture


def test_space_sizes_and_lengths_equal_the_papers():
    assert MacroSpace(layers=12).length == 78
    assert MacroSpace(layers=24).length == 300
    assert MacroSpace(layers=12).size == 6**12 * 2**66
    assert f"{MacroSpace(layers=12).size:.2e}" == "1.61e+29"
    assert CellSpace(blocks=5).length == 40
    assert f"{CellSpace(blocks=5).size:.2e}" == "2.56e+25"
    assert NASNET.length == 50
    assert f"{math.isqrt(NASNET.size):.3e}" == "2.287e+18"
    assert f"{NASNET.size:.1e}" == "5.2e+36"


@pytest.mark.parametrize("space", LARGE)
def test_ten_thousand_architectures_round_trip(space):
    for seed in range(10_000):
        tokens = random_tokens(space, seed)
        space.validate(tokens)
        assert space.encode(space.decode(tokens)) == tokens


def test_released_macro_architecture_has_the_known_counts():
    layers = load_architecture("enas_macro").layers
    operations = [layer.operation for layer in layers]
    assert [operations.count(name) for name in ("conv_3x3", "sep_conv_3x3")] == [8, 2]
    assert [operations.count(name) for name in ("conv_5x5", "sep_conv_5x5")] == [9, 5]
    assert sum(len(layer.skips) for layer in layers) == 98


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c.update(version=9), "version is 9"),
        (lambda c: c.update(kind="tree"), 'kind is "tree"'),
        (lambda c: c.update(extra=1), "extra is 1"),
        (lambda c: c.pop("cells"), "cells is null"),
        (
            lambda c: c["normal"]["blocks"][1]["inputs"].__setitem__(0, 3),
            "blocks[1].inputs[0] is 3",
        ),
        (lambda c: c["normal"]["blocks"][0]["operations"].__setitem__(1, "x"), "operations[1]"),
        (lambda c: c["normal"].update(outputs=[]), "normal.outputs"),
        (lambda c: c["reduction"].update(outputs=[3, 2]), "reduction.outputs"),
        (lambda c: c.update(rules="amoeba"), 'rules is "amoeba"'),
        (
            lambda c: c["normal"]["blocks"][0]["operations"].__setitem__(1, "conv_1x1"),
            'normal.blocks[0].operations[1] is "conv_1x1"; legal: one of sep_conv_3x3',
        ),
        (
            lambda c: c["normal"]["blocks"][2].update(combination="concat"),
            'normal.blocks[2].combination is "concat"; legal: one of add',
        ),
    ],
)
def test_the_error_names_the_bad_field(change, message):
    content = json.loads(to_json(load_architecture("enas_micro")))
    change(content)
    with pytest.raises(InputError) as error:
        from_json(json.dumps(content), "file.json")
    assert "file.json" in str(error.value)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_old_files_without_rules_are_read():
    content = json.loads(to_json(load_architecture("enas_micro")))
    assert content.pop("rules") == "enas"
    for cell in ("normal", "reduction"):
        assert [block.pop("combination") for block in content[cell]["blocks"]] == ["add"] * 5
    assert from_json(json.dumps(content)) == load_architecture("enas_micro")


def test_nasnet_rules_allow_nasnet_operations_and_both_combinations():
    content = json.loads(to_json(load_architecture("nasnet_a")))
    block = content["normal"]["blocks"][0]
    block.update(operations=["conv_1x7_7x1", "max_pool_7x7"], combination="concat")
    first = from_json(json.dumps(content)).normal.blocks[0]
    assert first.operations == ("conv_1x7_7x1", "max_pool_7x7")
    assert first.combination == "concat"
    block.update(combination="multiply")
    with pytest.raises(InputError, match=r"blocks\[0\].combination is .*one of add, concat"):
        from_json(json.dumps(content))


def test_truncated_file_and_unknown_name_are_refused():
    with pytest.raises(InputError, match="not a whole JSON file"):
        from_json(to_json(load_architecture("enas_macro"))[:-20])
    with pytest.raises(InputError, match="enas_micro_paper"):
        load_architecture("enas_mikro")


def test_a_folder_of_run_folders_names_the_newest(tmp_path):
    for name in ("2026-01-01", "2026-01-02"):
        (tmp_path / name).mkdir()
        write_architecture(load_architecture("enas_micro"), tmp_path / name / "architecture.json")
    (tmp_path / "2026-01-03").mkdir()
    with pytest.raises(InputError, match=r"a folder in it has: .*2026-01-02$"):
        load_architecture(tmp_path)


def test_macro_skips_read_earlier_outputs_only():
    content = json.loads(to_json(load_architecture("enas_macro")))
    content["layers"][2]["skips"] = [2]  # the layer directly before
    with pytest.raises(InputError, match=r"layers\[2\].skips\[0\] is 2; legal: 0 to 1"):
        from_json(json.dumps(content))


@pytest.fixture
def own_name(monkeypatch):
    """Register an operation for all rule sets during one test."""
    for rules, names in OPERATION_NAMES.items():
        monkeypatch.setitem(OPERATION_NAMES, rules, list(names))
        register_name(rules, "my_conv")
        register_name(rules, "my_conv")
        assert OPERATION_NAMES[rules].count("my_conv") == 1


@pytest.mark.parametrize(
    "make",
    [
        lambda names: CellSpace(1, names),
        lambda names: CellSpace(1, names, rules="nasnet"),
        lambda names: MacroSpace(1, names),
        lambda names: EdgeCellSpace(operations=names),
    ],
)
def test_spaces_and_files_accept_a_registered_operation(make, own_name):
    space = make(["my_conv"])
    tokens = [0] * space.length
    architecture = space.decode(tokens)
    assert "my_conv" in to_json(architecture)
    assert space.encode(from_json(to_json(architecture))) == tuple(tokens)
    with pytest.raises(InputError, match=r"operations must be different names out of .*my_conv"):
        make(["other_conv"])


@pytest.mark.parametrize(
    ("rules", "name", "message"),
    [
        ("amoeba", "my_conv", "operations.amoeba: unknown rule set; legal: enas, nasnet, darts"),
        ("enas", "my conv", "operations.enas: 'my conv' is not a name"),
    ],
)
def test_bad_registrations_are_refused(rules, name, message):
    with pytest.raises(InputError, match=message):
        register_name(rules, name)
