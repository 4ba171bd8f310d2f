"""Trained weights: where they are read from, what they are of, and how a network takes them."""

import json
import re
import shutil
import threading
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pretrainedmodels
import pytest
import pytorch_lightning as pl
import torch
from pretrainedmodels.models.nasnet_mobile import NASNetAMobile
from pytorch_lightning.callbacks import ModelCheckpoint
from torch import nn

from lightning_nas.architecture import ChainArchitecture, ChainLayer, EdgeCellArchitecture
from lightning_nas.callbacks.saving import SaveEpoch
from lightning_nas.errors import InputError
from lightning_nas.export.formats import export
from lightning_nas.modules.child import ChildModule
from lightning_nas.published import load_architecture
from lightning_nas.spaces.macro import MacroSpace
from lightning_nas.weights.blueprint import Blueprint
from lightning_nas.weights.imagenet import URLS
from lightning_nas.weights.load import COUNTER, Weights, load_weights, read_weights
from tests.small import CONSTANT, enas, synthetic, trainer

ARCHITECTURES = {  # with the settings of a small network
    "cell": (load_architecture("enas_micro"), {"cells": 1, "filters": 4, "stem_filters": 6}),
    "nasnet cell": (load_architecture("nasnet_a"), {"cells": 1, "filters": 4}),
    "macro": (MacroSpace(layers=3).decode([1, 4, 0, 5, 1, 0]), {"filters": 4}),
    "chain": (
        ChainArchitecture((ChainLayer((3, 3), (1, 1), 4), ChainLayer((1, 3), (2, 1), 6, (0,)))),
        {"dropout": 0.1},
    ),
    "edge cell": (
        EdgeCellArchitecture(("conv_3x3", "none", "conv_1x1", *["identity"] * 3)),
        {"cells": 1, "filters": 4},
    ),
}
KINDS = pytest.mark.parametrize("kind", ARCHITECTURES)


def blueprint_of(kind="cell", **more):
    architecture, settings = ARCHITECTURES[kind]
    architecture = more.pop("architecture", architecture)
    images = {"num_classes": 4, "classes": tuple("abcd"), "channels": 3, "image_size": 8}
    given = images | {"mean": (0.4, 0.5, 0.6), "std": (0.2, 0.25, 0.3), "crop": 0.875} | more
    return Blueprint(architecture, given.pop("settings", settings), **given)


def as_in_training(network):
    """Give a network weights and statistics of which no two are alike, whatever it began with."""
    with torch.no_grad():
        for name, tensor in network.state_dict().items():
            if tensor.is_floating_point():
                tensor.uniform_(0.5, 1.5) if "running_var" in name else tensor.normal_(0, 0.3)
    return network


def copied(network):
    return {name: tensor.clone() for name, tensor in network.state_dict().items()}


def same(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def weights_of(network, blueprint=None):
    return Weights("there", copied(network), blueprint)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The folder of a training of two epochs, with the checkpoint of each."""
    folder = tmp_path_factory.mktemp("run")
    pl.seed_everything(0, verbose=False)
    blueprint = blueprint_of()
    module = ChildModule(
        blueprint.build(), 4, partial(torch.optim.SGD, lr=0.01), CONSTANT, blueprint=blueprint
    )
    first = ModelCheckpoint(folder / "checkpoints", "best", monitor="step", mode="min")
    last = SaveEpoch(folder / "checkpoints")
    data = synthetic(images=64)
    trainer(folder, 2, [first, last], enable_checkpointing=True).fit(
        module, data.train_dataloader()
    )
    return folder


# ---- what weights are of ------------------------------------------------------------------------


@KINDS
def test_a_blueprint_is_read_as_it_was_written(kind):
    blueprint = blueprint_of(kind)
    again = Blueprint.from_json(blueprint.to_json(), "here")
    assert again == blueprint
    assert same_shapes(again.build(), blueprint.build())


def same_shapes(a, b):
    shapes = [{n: t.shape for n, t in m.state_dict().items()} for m in (a, b)]
    return shapes[0] == shapes[1]


@pytest.mark.parametrize(
    "text", ["no JSON", "[]", "null", "{}", '{"architecture": {}}', "with a field too many"]
)
def test_a_blueprint_that_is_none_is_said_to_be_none(text):
    if text == "with a field too many":
        text = json.dumps(json.loads(blueprint_of().to_json()) | {"colour": "red"})
    with pytest.raises(InputError, match=r"^there: "):
        Blueprint.from_json(text, "there")


@KINDS
def test_exported_weights_are_read_with_their_network(kind, tmp_path):
    blueprint = blueprint_of(kind)
    network = as_in_training(blueprint.build())
    path = export(network, blueprint, ["safetensors"], tmp_path)["safetensors"]
    weights = read_weights(str(path), tmp_path)
    assert weights.require_blueprint() == blueprint
    again = weights.require_blueprint().build()
    load_weights(again, weights)
    assert same(copied(again), copied(network))


# ---- where they are read from -------------------------------------------------------------------


def checkpoint(path):
    return torch.load(path, weights_only=True)["state_dict"]


def holds(weights, path):
    """Whether weights are the network's in a checkpoint."""
    saved = checkpoint(path)
    return same(weights.state, {n.removeprefix("network."): t for n, t in saved.items()})


@pytest.mark.parametrize(
    ("summary", "taken"),
    [
        (None, "best.ckpt"),
        ({}, "best.ckpt"),
        ({"checkpoint": None}, "best.ckpt"),
        ({"checkpoint": "elsewhere/checkpoints/last.ckpt"}, "last.ckpt"),
        ({"checkpoint": "elsewhere/checkpoints/gone.ckpt"}, "last.ckpt"),
    ],
)
def test_a_run_folder_stands_for_the_checkpoint_that_was_tested(run, tmp_path, summary, taken):
    folder = shutil.copytree(run, tmp_path / "moved")
    if summary is not None:
        (folder / "summary.json").write_text(json.dumps(summary))
    weights = read_weights(str(folder), tmp_path)
    other = {"best.ckpt": "last.ckpt", "last.ckpt": "best.ckpt"}[taken]
    assert holds(weights, folder / "checkpoints" / taken)
    assert not holds(weights, folder / "checkpoints" / other)
    assert weights.require_blueprint() == blueprint_of()


def test_a_run_that_was_stopped_early_has_its_last_checkpoint(run, tmp_path):
    folder = shutil.copytree(run, tmp_path / "stopped")
    (folder / "checkpoints" / "best.ckpt").unlink()
    assert holds(read_weights(str(folder), tmp_path), folder / "checkpoints" / "last.ckpt")


def test_a_checkpoint_may_be_named_itself(run, tmp_path):
    path = run / "checkpoints" / "best.ckpt"
    weights = read_weights(str(path), tmp_path)
    assert holds(weights, path)
    network = weights.require_blueprint().build()
    load_weights(network, weights)
    assert same(copied(network), weights.state)


def test_tensors_by_name_alone_are_weights_of_a_network_that_they_do_not_name(tmp_path):
    network = as_in_training(blueprint_of().build())
    torch.save(network.state_dict(), tmp_path / "plain.pt")
    weights = read_weights(str(tmp_path / "plain.pt"), tmp_path)
    with pytest.raises(InputError, match=r"plain.pt have no blueprint; give the run folder"):
        weights.require_blueprint()
    taking = blueprint_of().build()
    load_weights(taking, weights)
    assert same(copied(taking), copied(network))


@pytest.mark.parametrize("kind", ["macro", "cell"])
def test_the_checkpoint_of_a_search_has_shared_weights(kind, tmp_path):
    method = enas(kind)
    torch.save({"state_dict": method.state_dict()}, tmp_path / "search.ckpt")
    weights = read_weights(str(tmp_path / "search.ckpt"), tmp_path)
    assert weights.shared
    assert same(weights.state, method.supernet.network.state_dict())
    with pytest.raises(InputError, match=r"search.ckpt are shared by all architectures"):
        weights.require_blueprint()


def test_the_published_format_is_recognised_and_says_what_it_is_of(tmp_path):
    torch.manual_seed(0)
    reference = pretrainedmodels.models.nasnetamobile(num_classes=1000, pretrained=None)
    reference = as_in_training(reference).eval()
    state = {n: t for n, t in reference.state_dict().items() if not n.endswith(COUNTER)}
    torch.save(state, tmp_path / "mobile.pth")  # as old as the published files, without counters
    weights = read_weights(str(tmp_path / "mobile.pth"), tmp_path)
    blueprint = weights.require_blueprint()
    assert blueprint.architecture == load_architecture("nasnet_a")
    assert (blueprint.num_classes, blueprint.channels, blueprint.image_size) == (1000, 3, 224)
    assert (blueprint.mean, blueprint.std, blueprint.crop) == ((0.5,) * 3, (0.5,) * 3, 0.875)
    network = blueprint.build().eval()
    total = len(network.state_dict())
    assert load_weights(network, weights).startswith(
        f"loaded {len(state)} of {total} tensors from "
    )
    images = torch.randn(2, 3, 224, 224)
    with torch.no_grad():
        wanted = reference(images)
        scale = wanted.abs().max().item()
        torch.testing.assert_close(network(images), wanted, rtol=0, atol=1e-5 * scale)


def test_the_background_class_of_the_published_large_network_is_left_out(tmp_path):
    reference = NASNetAMobile(1001, stem_filters=32, penultimate_filters=24 * 8)
    torch.save(reference.state_dict(), tmp_path / "large.pth")
    weights = read_weights(str(tmp_path / "large.pth"), tmp_path)
    network = weights.require_blueprint().build()
    load_weights(network, weights)
    assert torch.equal(network.classifier.linear.weight, reference.last_linear.weight[1:])
    assert torch.equal(network.classifier.linear.bias, reference.last_linear.bias[1:])


@pytest.mark.parametrize(("classes", "filters"), [(1000, 44), (7, 8)])
def test_the_published_format_may_be_of_other_classes_and_sizes(classes, filters, tmp_path):
    reference = NASNetAMobile(classes, stem_filters=16, penultimate_filters=24 * filters)
    torch.save(reference.state_dict(), tmp_path / "other.pth")
    weights = read_weights(str(tmp_path / "other.pth"), tmp_path)
    blueprint = weights.require_blueprint()
    assert blueprint.num_classes == classes
    assert blueprint.settings["filters"] == filters
    load_weights(blueprint.build(), weights)


# ---- downloads ----------------------------------------------------------------------------------


class Server:
    """A server of files, on this machine, that notes what it is asked for.

    Args:
        files: Their bytes by path.
        cut: Bytes by which it sends less than it says.
    """

    def __init__(self, files, cut=0):
        asked = self.asked = []

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                asked.append(self.path)
                if self.path not in files:
                    self.send_error(404)
                    return
                body = files[self.path]
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body[: len(body) - cut])

            def log_message(self, *words):
                """Be silent."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *error):
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def saved(run, monkeypatch):
    """The bytes of a checkpoint, to be fetched without any proxy."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    return (run / "checkpoints" / "last.ckpt").read_bytes()


def test_a_file_is_downloaded_once_and_kept(run, saved, tmp_path):
    with Server({"/some/last.ckpt?raw=1": saved}) as server:
        for _ in range(2):
            weights = read_weights(f"{server.url}/some/last.ckpt?raw=1", tmp_path / "new")
            assert holds(weights, run / "checkpoints" / "last.ckpt")
    assert server.asked == ["/some/last.ckpt?raw=1"]


def test_files_of_one_name_in_two_places_are_two_files(saved, run, tmp_path):
    best = (run / "checkpoints" / "best.ckpt").read_bytes()
    with Server({"/a/net.ckpt": saved, "/b/net.ckpt": best}) as server:
        a, b = (read_weights(f"{server.url}/{place}/net.ckpt", tmp_path) for place in "ab")
    assert holds(a, run / "checkpoints" / "last.ckpt")
    assert holds(b, run / "checkpoints" / "best.ckpt")


def test_a_download_that_breaks_off_is_not_kept(saved, run, tmp_path):
    with (
        Server({"/net.ckpt": saved}, cut=100) as server,
        pytest.raises(InputError, match="incomplete"),
    ):
        read_weights(f"{server.url}/net.ckpt", tmp_path)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_what_cannot_be_downloaded_is_said_with_a_way_out(saved, tmp_path):
    with Server({}) as server:
        address = f"{server.url}/gone.ckpt"
        with pytest.raises(InputError, match=r"gone.ckpt could not .*404.*weights=FILE"):
            read_weights(address, tmp_path)
    with pytest.raises(InputError, match="could not be downloaded"):  # the server is gone, too
        read_weights(address, tmp_path)
    assert list(tmp_path.rglob("*.*")) == []


def test_names_stand_for_published_files(saved, monkeypatch, tmp_path, run):
    with Server({"/nasnetamobile.pth": saved}) as server:
        monkeypatch.setitem(URLS, "nasnet_a_mobile", f"{server.url}/nasnetamobile.pth")
        weights = read_weights("nasnet_a_mobile", tmp_path)
    assert holds(weights, run / "checkpoints" / "last.ckpt")


# ---- what is no weights -------------------------------------------------------------------------


@pytest.mark.parametrize("source", ["nowhere", "nowhere.ckpt", "nasnet_a_small"])
def test_what_is_nowhere_is_said_with_the_names_that_there_are(source, tmp_path):
    path = tmp_path / source
    with pytest.raises(InputError, match=f"{source}: no such .* nasnet_a_mobile or nasnet_a_large"):
        read_weights(str(path), tmp_path)


def test_a_folder_without_a_checkpoint_is_no_training(tmp_path):
    (tmp_path / "summary.json").write_text('{"checkpoint": "gone/checkpoints/best.ckpt"}')
    with pytest.raises(
        InputError, match="no checkpoint in this folder; give the run folder of a training"
    ):
        read_weights(str(tmp_path), tmp_path)


@pytest.mark.parametrize(
    "content",
    [
        torch.zeros(3),
        [torch.zeros(3)],
        {"a": 1},
        {"state_dict": [torch.zeros(3)]},
        {"state_dict": 3},
        {"state_dict": {"network.a": [torch.zeros(2)]}},
        {3: torch.zeros(3)},
        {},
        {"state_dict": {}},
    ],
    ids=repr,
)
def test_a_file_without_tensors_by_name_is_refused(content, tmp_path):
    torch.save(content, tmp_path / "file.pt")
    with pytest.raises(InputError, match=r"file.pt: the file contains no tensors with names"):
        read_weights(str(tmp_path / "file.pt"), tmp_path)


class Runs:
    """When unpickled, makes a folder: it stands for any code in a file of weights."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        import os

        return os.mkdir, (str(self.path),)


def test_code_in_a_file_is_not_run(tmp_path):
    torch.save({"state_dict": {"network.a": Runs(tmp_path / "made")}}, tmp_path / "evil.ckpt")
    with pytest.raises(
        InputError,
        match=r"evil.ckpt: not a readable file .* contains Python objects, which are never loaded",
    ):
        read_weights(str(tmp_path / "evil.ckpt"), tmp_path)
    assert not (tmp_path / "made").exists()
    torch.load(tmp_path / "evil.ckpt", weights_only=False)
    assert (tmp_path / "made").exists()  # so it would have been run


@pytest.mark.parametrize("suffix", ["ckpt", "pth", "safetensors"])
@pytest.mark.parametrize(
    "content",
    [b"", b"not weights", b"<html>moved</html>", b"PK\x03\x04 cut off", bytes(range(256)), b"\x80"],
)
def test_a_file_of_another_format_is_refused(suffix, content, tmp_path):
    path = tmp_path / f"file.{suffix}"
    path.write_bytes(content)
    with pytest.raises(InputError, match=f"file.{suffix}: "):
        read_weights(str(path), tmp_path)


@pytest.mark.parametrize("suffix", ["ckpt", "safetensors"])
@pytest.mark.parametrize("share", [0.01, 0.3, 0.9, 0.999])
def test_a_file_that_was_cut_off_is_refused(suffix, share, run, tmp_path):
    whole = run / "checkpoints" / "last.ckpt"
    if suffix == "safetensors":
        blueprint = blueprint_of()
        whole = export(blueprint.build(), blueprint, [suffix], tmp_path)[suffix]
    content = whole.read_bytes()
    path = tmp_path / f"cut.{suffix}"
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(InputError, match=f"cut.{suffix}: "):
        read_weights(str(path), tmp_path)


# ---- how a network takes them -------------------------------------------------------------------


def refused(network, weights, said, **options):
    """Check that a network does not take weights, that it is said why, and that it stays so."""
    before = copied(network)
    with pytest.raises(InputError, match=said) as caught:
        load_weights(network, weights, **options)
    assert same(copied(network), before)
    return str(caught.value)


def test_a_network_takes_all_of_its_weights():
    trained = as_in_training(blueprint_of().build())
    network = blueprint_of().build()
    total = len(trained.state_dict())
    assert (
        load_weights(network, weights_of(trained))
        == f"loaded {total} of {total} tensors from there"
    )
    assert same(copied(network), copied(trained))


def test_another_architecture_is_refused_and_the_first_five_differences_named():
    there, here = (blueprint_of(kind).build() for kind in ("nasnet cell", "cell"))
    said = refused(here, weights_of(there), "weights=there do not fit this network: ")
    a, b = there.state_dict(), here.state_dict()
    differences = [
        name
        for name in sorted(a.keys() | b.keys())
        if name not in a or name not in b or a[name].shape != b[name].shape
    ]
    assert len(differences) > 5
    named, more = re.fullmatch(r".* network: (.*) and (\d+) more; .*", said).groups()
    assert re.findall(r"(\S+) is ", named) == differences[:5]
    assert int(more) == len(differences) - 5
    assert "network.filters, network.cells" in said


def test_few_differences_are_all_named():
    there, here = nn.Linear(2, 3), nn.Linear(2, 4)
    here.register_buffer("c", torch.zeros(1))
    there.register_buffer("d", torch.zeros(1))
    said = refused(here, weights_of(there), "do not fit")
    assert (
        "network: bias is [3] in the weights, [4] here, c is missing in the weights, "
        "d is missing in the network, weight is [3, 2] in the weights, [4, 2] here; build"
    ) in said


@KINDS
def test_other_classes_are_refused_with_the_advice_to_begin_a_new_head(kind):
    there, here = (blueprint_of(kind, num_classes=n).build() for n in (4, 7))
    said = refused(here, weights_of(there), "recipe=finetune or new_head=true creates a new head")
    assert "network.filters" not in said
    assert said.count(" in the weights, ") == sum(n.startswith("classifier") for n in copied(here))


@KINDS
@pytest.mark.parametrize("classes", [4, 7])
def test_a_new_head_stays_as_it_began_and_all_else_is_taken(kind, classes):
    there = as_in_training(blueprint_of(kind).build())
    here = as_in_training(blueprint_of(kind, num_classes=classes).build())
    before, given = copied(here), copied(there)
    said = load_weights(here, weights_of(there), new_head=True)
    assert said.endswith("; fresh weights: classifier")
    head = [name for name in before if name.startswith("classifier.")]
    assert head
    for name, tensor in here.state_dict().items():
        assert torch.equal(tensor, (before if name in head else given)[name]), name


def test_a_new_head_does_not_excuse_another_network():
    there, here = (blueprint_of(kind).build() for kind in ("nasnet cell", "cell"))
    refused(here, weights_of(there), "do not fit", new_head=True)


AUXILIARY = {"cells": 1, "filters": 4, "auxiliary": True}  # from 20 pixels on there is one


def auxiliary(image_size=32, **more):
    settings = AUXILIARY | more.pop("settings", {})
    blueprint = blueprint_of("cell", image_size=image_size, settings=settings, **more)
    network = as_in_training(blueprint.build())
    assert settings["auxiliary"] == any(n.startswith("auxiliary.") for n in network.state_dict())
    return network


def test_an_auxiliary_head_is_taken_where_it_fits():
    there, here = auxiliary(), auxiliary()
    load_weights(here, weights_of(there))
    assert same(copied(here), copied(there))


@pytest.mark.parametrize(
    ("there", "here", "new_head", "begun"),
    [
        ({"settings": {"auxiliary": False}}, {}, False, "auxiliary"),
        ({"image_size": 48}, {}, False, "auxiliary"),
        ({}, {"settings": {"auxiliary": False}}, False, None),
        ({"num_classes": 7}, {}, True, "auxiliary, classifier"),
        ({}, {}, True, "auxiliary, classifier"),
    ],
    ids=["absent there", "of another size", "absent here", "new classes", "new head"],
)
def test_an_auxiliary_head_that_does_not_fit_begins_anew(there, here, new_head, begun):
    there, here = auxiliary(**there), auxiliary(**here)
    before, given = copied(here), copied(there)
    said = load_weights(here, weights_of(there), new_head=new_head)
    assert said.split("fresh weights: ")[1:] == ([begun] if begun else [])
    for name, tensor in here.state_dict().items():
        fresh = begun is not None and name.startswith(tuple(begun.split(", ")))
        assert torch.equal(tensor, (before if fresh else given)[name]), name


def test_an_auxiliary_head_of_other_classes_does_not_hide_that_the_classes_differ():
    refused(auxiliary(), weights_of(auxiliary(num_classes=7)), "new_head=true creates a new head")


# ---- grey and RGB -------------------------------------------------------------------------------


@KINDS
@pytest.mark.parametrize(("there", "here"), [(1, 3), (3, 1)])
def test_a_grey_image_gives_the_same_in_grey_and_in_rgb(kind, there, here):
    torch.manual_seed(0)
    networks = []
    for channels in (there, here):
        blueprint = blueprint_of(kind, channels=channels, mean=(0.5,) * channels)
        networks.append(as_in_training(blueprint.build()).double().eval())
    trained, network = networks
    load_weights(network, weights_of(trained))
    grey = torch.randn(2, 1, 8, 8, dtype=torch.float64)
    wanted = trained(grey.expand(-1, there, -1, -1))
    assert wanted.std() > 1e-3
    torch.testing.assert_close(network(grey.expand(-1, here, -1, -1)), wanted)


@pytest.mark.parametrize(("there", "here"), [(1, 2), (2, 3), (3, 4)])
def test_other_channels_are_another_network(there, here):
    networks = [blueprint_of(channels=channels).build() for channels in (there, here)]
    refused(
        networks[1], weights_of(networks[0]), rf"\[6, {there}, 3, 3\] in the weights, \[6, {here},"
    )
