"""Malformed inputs: which file is changed how, and which commands then read the file."""

from dataclasses import dataclass

from benchmarks.campaign import mutations
from benchmarks.campaign.mutations import Mutation
from benchmarks.campaign.runs import QUIET

BYTES = (mutations.change_bytes, mutations.change_bytes, mutations.replace_file)
NEW = ("hydra.run.dir={new}", *QUIET)
SHORT = ("debug=smoke", "trainer.max_epochs=1")

REPORT = ("-m", "lightning_nas.report", "{run}")
JUDGE = ("-m", "lightning_nas.judge", "{run}", "--architectures", "3", "--sampled", "0")
RESUME_TABLE = ("search.py", "resume={run}", "method.samples=80")
RESUME_ENAS = ("search.py", "resume={run}", "trainer.max_epochs=3")
RESUME_TRAINING = ("train.py", "resume={run}", "trainer.max_epochs=3")
TRAIN_FILE = ("train.py", "architecture={file}", *SHORT, *NEW)
TRAIN_RUN = ("train.py", "architecture={run}", "trainer.max_epochs=1", *NEW)
TEST = ("train.py", "mode=test", "weights={file}", "debug=smoke", *NEW)
TEST_RUN = ("train.py", "mode=test", "weights={run}", *NEW)
EXPORT = ("train.py", "mode=export", "weights={file}", "export=[python,safetensors]", *NEW)
PREDICT = ("train.py", "mode=predict", "weights={trained}", "images={run}", *NEW)
TRAIN_IMAGES = (
    *("train.py", "data=image_folder", "data.root={run}", "data.batch_size=4"),
    *("network.filters=4", "network.cells=1", "trainer.max_epochs=1", *NEW),
)


@dataclass(frozen=True)
class Target:
    """A kind of malformed input.

    Args:
        name: Name of the kind.
        base: Base folder that is copied: ``table``, ``enas``, ``training`` or ``images``.
        files: Patterns of the files to change; one of the matches is chosen.
        changes: Mutations, one of which is chosen.
        commands: Commands, one of which is chosen.
        weight: Share of the cases, in comparison with the other targets.
    """

    name: str
    base: str
    files: tuple[str, ...]
    changes: tuple[Mutation, ...]
    commands: tuple[tuple[str, ...], ...]
    weight: int = 2


JSON = (*BYTES, mutations.change_json, mutations.change_json, mutations.change_json)
YAML = (*BYTES, mutations.change_yaml, mutations.change_yaml, mutations.change_yaml)
CSV = (*BYTES, mutations.change_csv, mutations.change_csv)
SQLITE = (*BYTES, *[mutations.change_journal] * 4)
WEIGHTS = (*BYTES, *[mutations.change_checkpoint] * 3)
CONFIGS = (".hydra/config.yaml", ".hydra/overrides.yaml", ".hydra/hydra.yaml")
CHECKPOINTS = ("checkpoints/*.ckpt",)
TARGETS = (
    Target("architecture", "enas", ("architecture.json",), JSON, (TRAIN_FILE, TRAIN_RUN), 4),
    Target("table config", "table", CONFIGS, YAML, (REPORT, RESUME_TABLE), 4),
    Target("ENAS config", "enas", CONFIGS, YAML, (REPORT, RESUME_ENAS, TRAIN_RUN, JUDGE), 4),
    Target("train config", "training", CONFIGS, YAML, (RESUME_TRAINING, TEST_RUN), 3),
    Target("summary", "table", ("summary.json",), JSON, (REPORT, RESUME_TABLE)),
    Target("train summary", "training", ("summary.json",), JSON, (RESUME_TRAINING, TEST_RUN)),
    Target("metrics", "enas", ("metrics.csv",), CSV, (REPORT, RESUME_ENAS)),
    Target("table metrics", "table", ("metrics.csv",), CSV, (REPORT, RESUME_TABLE)),
    Target("journal", "table", ("trials.sqlite",), SQLITE, (REPORT, RESUME_TABLE), 4),
    Target("ENAS journal", "enas", ("trials.sqlite",), SQLITE, (REPORT, RESUME_ENAS)),
    Target("tables", "table", ("top.csv", "pareto.csv"), CSV, (REPORT, RESUME_TABLE), 1),
    Target("checkpoint", "training", CHECKPOINTS, WEIGHTS, (RESUME_TRAINING, TEST, EXPORT), 3),
    Target("table checkpoint", "table", CHECKPOINTS, WEIGHTS, (RESUME_TABLE,)),
    Target("ENAS checkpoint", "enas", CHECKPOINTS, WEIGHTS, (RESUME_ENAS,)),
    Target("safetensors", "training", ("export/*.safetensors",), WEIGHTS, (TEST, EXPORT)),
    Target("images", "images", ("**/*.*",), BYTES, (PREDICT, TRAIN_IMAGES), 4),
    Target("pictures", "enas", ("*.svg",), (*BYTES, mutations.change_svg), (REPORT,), 1),
)
