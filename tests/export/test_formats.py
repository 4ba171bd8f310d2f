"""Files of an export, whatever their format."""

import torch

from lightning_nas.export.formats import export
from tests.weights.test_load import as_in_training, blueprint_of


def test_all_files_of_an_export_have_the_permissions_of_other_files(tmp_path):
    blueprint = blueprint_of("chain")
    torch.manual_seed(0)
    export(as_in_training(blueprint.build()), blueprint, ["safetensors", "python"], tmp_path)
    (tmp_path / "other").write_text("")
    modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()}
    assert {"model.safetensors", "model.py", "model.json"} <= set(modes)
    assert set(modes.values()) == {modes["other"]}
