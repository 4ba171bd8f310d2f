"""Malformed inputs: a command ends with status 0, or with one line of error and status 2.

It never prints a traceback, hangs, runs code from a file, or changes a run folder that it refuses.
"""

import random
import re
import resource
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from omegaconf import DictConfig, OmegaConf
from PIL import Image

from benchmarks.campaign.commands import Command, Ended
from benchmarks.campaign.mutations import change_bytes
from benchmarks.campaign.runs import QUIET
from benchmarks.campaign.tally import EXECUTION, OTHER, Tally
from benchmarks.campaign.targets import TARGETS, Target
from benchmarks.campaign.workers import make_images
from lightning_nas.storage.run_folder import RunFolder

WHOLE_SHARE = 0.03  # share of the cases that start a new Python
MEMORY = 16 * 2**30  # bytes of address space of a command
SCRIPT = re.compile(r"<script>alert|<\w+[^>]* on(load|error)='alert|href=\"javascript:alert")
OVERRIDES = "overrides"
OVERRIDES_SHARE = 0.2
VALUES = (
    *("nan", "inf", "-1", "0", "1.5", "abc", "null", "[]", "{}", "1e400", "99999999999", "''"),
    *("true", "[1,2]", "{a: 1}", "${x}", "a b", "=", "ü", "'", "[" * 200, "${oc.env:NOPE}", "../x"),
    *("-0.5", "1e-400", "9" * 5000, "x" * 5000, "'a\tb'", "\\", "$(touch x)", "!!python/name:os"),
)
ENDLESS = re.compile(  # settings that may legally ask for a run without an end
    "samples|epochs|steps|images|cells|layers|filters|blocks|population|hidden|batch|size|period"
    "|redraws|nodes|devices|threads|passes|every|finalists|T_0|pad|area|grow|warmup|sanity|workers"
)
BASES = {
    "table": (
        *("search.py", "experiment=nas_bench_201", "method=random_search", "method.samples=40"),
    ),
    "enas": ("search.py", "experiment=enas_micro_digits", "debug=smoke"),
    "training": ("train.py", "debug=smoke", "export=safetensors"),
}


def run(
    count: int, tally: Tally, folder: Path, rng: random.Random, names: Sequence[str] = ()
) -> None:
    """Change inputs at random and check how the commands end.

    Args:
        count: Number of cases.
        tally: Counts of this part.
        folder: Folder of the campaign.
        rng: Random numbers of this part.
        names: Names of targets; empty = all.
    """
    bases = _make_bases(folder / "bases")
    targets = [target for target in TARGETS if not names or target.name in names]
    share = OVERRIDES_SHARE if not names else float(OVERRIDES in names) * 2 / (1 + len(names))
    for number in range(count):
        own = random.Random(rng.random())
        if own.random() < share or not targets:
            _try_override(bases, tally.make_case(OVERRIDES, number), own, tally)
        else:
            target = own.choices(targets, [one.weight for one in targets])[0]
            _try_file(target, bases, tally.make_case(target.name, number), own, tally)


def _make_bases(folder: Path) -> dict[str, Path]:
    """Return the unchanged run folders and images, by name."""
    bases = {name: folder / name for name in (*BASES, "images")}
    for name, words in BASES.items():
        if not RunFolder(bases[name]).summary.exists():
            words = (*words, *QUIET, f"hydra.run.dir={bases[name]}")
            ended = Command(words, folder / f"{name} streams").wait(600)
            if ended.code:
                raise RuntimeError(f"{name}: {ended.errors}")
    _make_formats(bases["images"])
    return bases


def _make_formats(folder: Path) -> None:
    """Write small images in several formats."""
    for number, path in enumerate(sorted(make_images(folder, 12, 16).rglob("*.png"))):
        suffix = (".png", ".jpg", ".bmp", ".gif", ".tif", ".webp")[number % 6]
        Image.open(path).save(path.with_suffix(suffix))
        if suffix != ".png":
            path.unlink()


def _try_file(
    target: Target, bases: dict[str, Path], case: Path, rng: random.Random, tally: Tally
) -> None:
    before = tally.breaches
    copy, canary = case / "input", case / "canary"
    shutil.copytree(bases[target.base], copy)
    files = sorted(path for pattern in target.files for path in copy.glob(pattern))
    file = rng.choice([path for path in files if path.is_file()])
    rng.choice(target.changes)(file, rng, canary)
    if file.is_file() and not file.is_symlink() and rng.random() < 0.2:
        change_bytes(file, rng, canary)
    places = {"run": copy, "file": file, "new": case / "new", "trained": bases["training"]}
    words = [word.format(**places) for word in rng.choice(target.commands)]
    found = take_snapshot(copy)
    command = Command(words, case / "streams", _limit_memory, rng.random() < WHOLE_SHARE)
    ended = command.wait()
    _check(case, command, ended, tally)
    if ended.code == 2 and (changed := _list_changes(found, take_snapshot(copy))):
        tally.breach(OTHER, case, f"refused, but changed: {changed}", command)
    tally.end(case, before)


def _try_override(bases: dict[str, Path], case: Path, rng: random.Random, tally: Tally) -> None:
    before = tally.breaches
    base = rng.choice(list(BASES))
    key, value = _choose_override(OmegaConf.load(RunFolder(bases[base]).config), rng)  # type: ignore[arg-type]
    short = () if base == "table" else ("trainer.max_epochs=1",)
    words = [*BASES[base][:4], *short, *QUIET, f"hydra.run.dir={case / 'new'}", f"{key}={value}"]
    command = Command(words, case / "streams", _limit_memory, rng.random() < WHOLE_SHARE)
    ended = command.wait()
    _check(case, command, ended, tally)
    tally.end(case, before)


def _choose_override(config: DictConfig, rng: random.Random) -> tuple[str, str]:
    while True:
        key, value = rng.choice(list(_list_keys(config))), rng.choice(VALUES)
        if rng.random() < 0.1:
            place = rng.randrange(len(key))
            return key[:place] + key[place + 1 :], value
        if not ENDLESS.search(key) or value not in ("99999999999", "-1", "null", "inf", "1e400"):
            return key, value


def _list_keys(config: DictConfig, prefix: str = "") -> Iterator[str]:
    for name in config:
        key = f"{prefix}{name}"
        is_value = OmegaConf.is_missing(config, name) or OmegaConf.is_interpolation(config, name)
        if not is_value and isinstance(config[name], DictConfig):
            yield from _list_keys(config[name], f"{key}.")
        else:
            yield key


def _check(case: Path, command: Command, ended: Ended, tally: Tally) -> None:
    """Count each breach of the contract on bad input."""
    tally.check(case, command, ended)
    if (case / "canary").exists():
        tally.breach(EXECUTION, case, "the canary exists", command)
    if ended.has_traceback or ended.hangs:
        return
    if ended.code != 0 and not ended.is_clean_refusal:
        what = f"status {ended.code}, not one line of error: {ended.errors[-400:]!r}"
        tally.breach(OTHER, case, what, command)
    if ended.code == 2 and any(path.is_file() for path in (case / "new").rglob("*")):
        tally.breach(OTHER, case, "refused, but left a new folder", command)
    for report in case.rglob("report.html"):
        if SCRIPT.search(report.read_text(errors="replace")):
            tally.breach(EXECUTION, case, "a script in the report", command)


def _limit_memory() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))


def take_snapshot(folder: Path) -> dict[str, bytes | str]:
    """Return the content of the files in a folder, without logs, locks and SQLite's own files."""
    return {
        str(path.relative_to(folder)): _read(path)
        for path in folder.rglob("*")
        if not re.search(r"\.(log|lock)$|-wal$|-shm$", path.name)
    }


def _read(path: Path) -> bytes | str:
    if path.is_symlink() or not path.is_file():
        return "link" if path.is_symlink() else "folder" if path.is_dir() else "other"
    return path.read_bytes()


def _list_changes(before: dict[str, bytes | str], after: dict[str, bytes | str]) -> list[str]:
    names = sorted(before.keys() | after.keys())
    return [name for name in names if before.get(name) != after.get(name)]
