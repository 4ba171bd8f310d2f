"""Children on the workers of a real Ray: what comes back, and what is lost when one dies."""

import importlib
import os
import sys
import time
from functools import partial
from pathlib import Path

import pytest
import ray
import torch
from behaves import Behaves, begun
from small import synthetic

from lightning_nas.errors import InputError
from lightning_nas.evaluation import ray_cluster, ray_executor
from lightning_nas.evaluation.child_training import ChildTraining
from lightning_nas.evaluation.executors import SerialExecutor
from lightning_nas.evaluation.ray_executor import RayExecutor
from lightning_nas.modules.child import ChildModule
from lightning_nas.modules.schedules import cosine
from lightning_nas.spaces.chain import ChainSpace


def nothing():
    pass


@pytest.fixture(scope="module")
def running():
    environment = {"PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"}
    ray.init(
        num_cpus=2,
        include_dashboard=False,
        log_to_driver=False,
        runtime_env={"env_vars": environment},
    )
    yield
    ray.shutdown()


@pytest.fixture
def executor_of(running):
    """Makes executors, and closes them: a worker that lives on keeps its CPU from later tests."""
    made = []

    def make(*arguments, **settings):
        made.append(RayExecutor(*arguments, **settings))
        return made[-1]

    yield make
    for executor in made:
        executor.close()


def ended(executor, *words):
    """Return what came of all, by word, in the order in which they ended."""
    for number, word in enumerate(words):
        executor.submit(number, word, seed=number)
    outcomes = [executor.wait(nothing) for _ in words]
    return {words[number]: outcome for number, outcome in outcomes}


# ---- what is refused before any child, while no Ray runs -----------------------------------------


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"address": "127.0.0.1:1"}, "no cluster answers at 127.0.0.1:1"),
        ({"address": "nonsense"}, "legal: local, auto, HOST:PORT"),
        ({"address": "ray://head:10001"}, "legal: local, auto, HOST:PORT"),
        ({"address": "auto"}, "no cluster runs on this machine"),
        ({"slots": 0}, "executor.slots must be at least 1"),
        ({"retries": -1}, "retries at least 0"),
    ],
)
def test_a_cluster_that_cannot_be_had_is_refused(settings, said, tmp_path, monkeypatch):
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    with pytest.raises(InputError, match=said):
        RayExecutor(Behaves(tmp_path), **settings)
    assert not ray.is_initialized()


def test_a_cluster_that_does_not_answer_is_given_up_soon(tmp_path, monkeypatch):
    monkeypatch.setattr(ray_cluster, "PROBE", 0.3)
    began = time.monotonic()
    with pytest.raises(InputError, match="no cluster answers"):
        RayExecutor(Behaves(tmp_path), address="192.0.2.77:6379")  # of nobody, RFC 5737
    assert time.monotonic() - began < 5


def test_a_ray_that_does_not_start_is_one_line(tmp_path, monkeypatch):
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path / ("x" * 100)))  # too long for Ray's sockets
    with pytest.raises(InputError, match=r"^executor.address=local: Ray does not start: [^\n]+$"):
        RayExecutor(Behaves(tmp_path))
    assert not ray.is_initialized()


def test_without_ray_there_is_advice(tmp_path, monkeypatch):
    monkeypatch.setattr(ray_executor, "ray", None)
    with pytest.raises(InputError, match="pip install ray=="):
        RayExecutor(Behaves(tmp_path))


# ---- on a Ray that runs --------------------------------------------------------------------------


def test_the_resources_decide_the_number_of_slots(executor_of, tmp_path):
    assert executor_of(Behaves(tmp_path)).slots == 2
    assert executor_of(Behaves(tmp_path), cpus=2).slots == 1
    assert executor_of(Behaves(tmp_path), cpus=0.5).slots == 4
    assert executor_of(Behaves(tmp_path), slots=7).slots == 7


def test_too_few_resources_for_a_child_are_refused(executor_of, tmp_path):
    with pytest.raises(InputError, match="not enough resources for a child with 1 CPUs and 1 GPUs"):
        executor_of(Behaves(tmp_path), gpus=1)


def test_who_ends_first_comes_back_first(executor_of, tmp_path):
    executor = executor_of(Behaves(tmp_path))
    executor.submit(0, "waits", seed=3)
    executor.submit(1, "works", seed=4)
    number, outcome = executor.wait(nothing)
    assert (number, outcome.reward) == (1, 0.04)
    (tmp_path / "go").touch()
    number, outcome = executor.wait(nothing)
    assert (number, outcome.reward) == (0, 0.03)


def test_children_for_which_there_is_no_room_wait_for_a_worker(executor_of, tmp_path):
    executor = executor_of(Behaves(tmp_path), slots=4)  # on two CPUs
    deadline = time.monotonic() + 120

    def poll():
        assert time.monotonic() < deadline

    for number in range(4):
        executor.submit(number, "works", seed=number)
    assert {executor.wait(poll)[0] for _ in range(4)} == {0, 1, 2, 3}


def test_code_that_a_worker_does_not_have_is_one_line(executor_of, tmp_path, monkeypatch):
    (tmp_path / "elsewhere.py").write_text("class Evaluate:\n    pass\n")
    monkeypatch.syspath_prepend(tmp_path)  # after the start of Ray
    evaluate = importlib.import_module("elsewhere").Evaluate()
    with pytest.raises(InputError, match=r"^node \S+ cannot load .* named 'elsewhere'; all nodes"):
        ended(executor_of(evaluate), "works")


class EndsItsWorker:
    """An evaluator that a worker cannot load: the process ends."""

    def __reduce__(self):
        return os._exit, (1,)


@pytest.mark.slow
def test_workers_that_die_while_they_start_are_one_line_and_no_penalty(executor_of, caplog):
    start = "a worker of Ray has died while it started: "
    with pytest.raises(InputError, match=f"^{start}.+; all nodes need .* resume=RUN$"):
        ended(executor_of(EndsItsWorker(), retries=1), "works")
    (warning,) = (record.getMessage() for record in caplog.records)
    assert warning.startswith(start)


def test_a_worker_works_in_the_folder_of_the_search(executor_of, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    ended(executor_of(Behaves(Path("."))), "works")
    assert begun(tmp_path, "works") == ["begun"]


def test_a_worker_stays_between_children(executor_of, tmp_path):
    executor = executor_of(Behaves(tmp_path), cpus=2)
    processes = {ended(executor, "works")["works"].seconds for _ in range(3)}
    assert len(processes) == 1
    assert os.getpid() not in processes


def test_another_evaluator_on_the_same_workers_is_another(executor_of, tmp_path):
    first, second = tmp_path / "first", tmp_path / "second"
    for folder in (first, second):
        folder.mkdir()
        ended(executor_of(Behaves(folder)), "works")
    assert begun(first, "works") == begun(second, "works") == ["begun"]


def test_a_child_whose_worker_was_killed_is_begun_again(executor_of, tmp_path):
    outcomes = ended(executor_of(Behaves(tmp_path)), "dies once", "works")
    assert outcomes["dies once"].error is None
    assert outcomes["works"].error is None
    assert len(begun(tmp_path, "dies once")) == 2


@pytest.mark.slow
def test_one_whose_workers_keep_dying_has_the_penalty_and_the_others_go_on(executor_of, tmp_path):
    outcomes = ended(executor_of(Behaves(tmp_path, penalty=0.1), retries=1), "dies", "works")
    assert outcomes["dies"].error == "workers that died during this child: 2"
    assert outcomes["dies"].reward == 0.1
    assert len(begun(tmp_path, "dies")) == 2
    assert outcomes["works"].reward == 0.01


def test_a_child_that_hangs_is_ended_by_force(executor_of, tmp_path, monkeypatch):
    monkeypatch.setattr(ray_executor, "GRACE", 0.5)
    outcomes = ended(executor_of(Behaves(tmp_path, time_limit=0.5)), "hangs", "works")
    assert outcomes["hangs"].error == "longer than 0.5 s"
    assert outcomes["works"].error is None


def test_a_defect_of_the_program_is_no_penalty(executor_of, tmp_path):
    with pytest.raises(KeyError, match="a defect"):
        ended(executor_of(Behaves(tmp_path)), "is defective")


def test_a_users_error_on_a_worker_is_the_same_one_line(executor_of, tmp_path):
    with pytest.raises(InputError) as caught:
        ended(executor_of(Behaves(tmp_path)), "cannot be built")
    assert str(caught.value) == "images of 2 pixels are too small"


def test_the_search_is_asked_whether_to_stop_while_it_waits(executor_of, tmp_path):
    def poll():
        if begun(tmp_path, "hangs"):
            raise InterruptedError

    executor = executor_of(Behaves(tmp_path))
    executor.submit(0, "hangs", seed=0)
    with pytest.raises(InterruptedError):
        executor.wait(poll)
    executor.close()
    assert executor_of(Behaves(tmp_path), cpus=2).slots == 1
    assert ended(executor_of(Behaves(tmp_path), cpus=2), "works")["works"].reward == 0


def test_outcomes_are_the_same_as_in_this_process(executor_of):
    space = ChainSpace(layers=2, filters=(2, 4))
    tokens = [[0, 1, 0, 1, 1, 1, 0], [2, 1, 1, 0, 0, 1, 1]]
    architectures = [space.decode(given) for given in tokens]
    evaluate = ChildTraining(
        synthetic(128),
        partial(ChildModule, optimizer=partial(torch.optim.SGD, lr=0.1)),
        cosine,
        epochs=2,
        trainer={"accelerator": "cpu"},
        network={},
        threads=1,
    )
    found = []
    for executor in (SerialExecutor(evaluate), executor_of(evaluate)):
        for number, architecture in enumerate(architectures):
            executor.submit(number, architecture, seed=number)
        outcomes = dict(executor.wait(nothing) for _ in architectures)
        found.append([(o.reward, o.accuracies, o.parameters) for _, o in sorted(outcomes.items())])
    assert found[0] == found[1]
