"""What a search records for Weights & Biases without an account or a network."""

import socket
import time

import pytest
from wandb_records import items, records, records_of, search

from lightning_nas.callbacks import wandb_logger


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """The run folder of a search and of its resumption, and what they printed."""
    home = tmp_path_factory.mktemp("home")
    small = ["debug=smoke", "callbacks.progress=null", "space.blocks=2", "trainer.max_epochs=1"]
    output = search(home, *small, f"hydra.run.dir={home}/run")
    return home / "run", output + search(home, f"resume={home}/run", "trainer.max_epochs=2")


def test_an_offline_record_holds_what_the_method_page_lists(recorded, glossary):
    for path in recorded[0].glob("wandb/offline-run-*/*.wandb"):
        logged = items(item for record in records(path) for item in record.history.item)
        names = {name.removesuffix("_step").removesuffix("_epoch") for name in logged}
        assert glossary <= names


def test_what_is_sampled_is_logged_at_the_same_step_as_its_reward(recorded):
    folder, _ = recorded
    logged = [row for record in records_of(folder) for row in record.logged]
    steps = {
        name: [row["trainer/global_step"] for row in logged if any(n.startswith(name) for n in row)]
        for name in ("operations/", "controller/reward_epoch")
    }
    assert len(steps["operations/"]) == 2  # epochs
    assert steps["operations/"] == steps["controller/reward_epoch"]


def test_it_holds_the_configuration(recorded):
    path = next(recorded[0].glob("wandb/offline-run-*/*.wandb"))
    config = items(
        item
        for record in records(path)
        for item in (*record.run.config.update, *record.config.update)
    )
    assert config["method"]["supernet"]["optimizer"]["lr"] == 0.05
    assert config["name"] == "enas_micro_digits"


def test_one_line_says_how_to_upload(recorded):
    folder, output = recorded
    lines = [line for line in output.splitlines() if "wandb sync" in line]
    assert len(lines) == 2  # the search and its resumption
    assert f"wandb sync {folder}/wandb/offline-run-*" in lines[0]


def test_a_resumed_search_goes_on_in_the_same_record(recorded):
    names = {path.name for path in recorded[0].glob("wandb/offline-run-*/*.wandb")}
    assert len(names) == 1
    assert len(list(recorded[0].glob("wandb/offline-run-*"))) == 2


def test_a_server_that_does_not_answer_costs_two_seconds():
    with socket.socket() as full:  # its queue is full: a connection neither succeeds nor fails
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        address = full.getsockname()
        waiting = [socket.socket() for _ in range(3)]
        for client in waiting:
            client.setblocking(False)
            client.connect_ex(address)
        began = time.monotonic()
        assert wandb_logger._probe(f"http://{address[0]}:{address[1]}") == (
            "127.0.0.1 does not answer"
        )
        assert time.monotonic() - began < 3
        for client in waiting:
            client.close()
