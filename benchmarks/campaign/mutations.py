"""Mutations of files: each takes random numbers and changes one file."""

import io
import json
import os
import pickle
import random
import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
import yaml

Mutation = Callable[[Path, random.Random, Path], None]  # file, random numbers, canary
STRANGE: tuple[Any, ...] = (
    *(None, True, "", "x", [], {}, 0, -1, 0.5, 10**30, float("nan"), float("inf"), "\x00\x1b[2J"),
    *([[]] * 3, {"a": {"b": 1}}, "=1+1", "../../x", "ü" * 300, "<script>alert(1)</script>"),
)
FRAGMENTS = (
    *(b"\t", b"\x00", b"\xff\xfe", b"\xe4", b"[" * 50_000, b"{" * 2_000, b"9" * 5_000, b"1e999"),
    *(b"NaN", b"-", b"&a [*a, *a]", b"!!python/name:os.system", b"${", b"\r", b'"', b"\n\n"),
    *(b"<script>alert(1)</script>", b"\xf0\x9f\x92\xa9", b"${oc.env:HOME}", b"null"),
)


class Payload:
    """Object whose unpickling creates the canary.

    Args:
        canary: File that must never exist.
    """

    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.system, (f"touch {self.canary}",)


# ---- bytes ---------------------------------------------------------------------------------------


def change_bytes(path: Path, rng: random.Random, canary: Path) -> None:
    """Truncate the file, or flip, insert, delete or repeat bytes."""
    data = bytearray(path.read_bytes())
    place = rng.randrange(len(data) + 1)
    length = rng.choice((1, 4, 40, 400))
    how = rng.choice(("truncate", "flip", "insert", "delete", "repeat", "empty"))
    if how == "truncate":
        del data[place:]
    elif how == "flip":
        for at in rng.sample(range(len(data)), min(len(data), rng.choice((1, 3, 30)))):
            data[at] ^= 1 << rng.randrange(8)
    elif how == "insert":
        data[place:place] = rng.choice((rng.randbytes(length), rng.choice(FRAGMENTS)))
    elif how == "delete":
        del data[place : place + length]
    elif how == "repeat":
        data[place:place] = data[place : place + length] * rng.choice((1, 100))
    else:
        data.clear()
    path.write_bytes(data)


def replace_file(path: Path, rng: random.Random, canary: Path) -> None:
    """Put something else at the place of the file."""
    path.unlink()
    how = rng.choice(("missing", "folder", "loop", "pipe", "noise", "pickle", "device"))
    if how == "folder":
        path.mkdir()
    elif how == "loop":
        path.symlink_to(path.name)
    elif how == "pipe":
        os.mkfifo(path)
    elif how == "noise":
        path.write_bytes(rng.randbytes(rng.choice((1, 100, 10_000))))
    elif how == "pickle":
        path.write_bytes(pickle.dumps(Payload(canary)))
    elif how == "device":
        path.symlink_to("/dev/zero")


# ---- structure -----------------------------------------------------------------------------------


def change_value(content: Any, rng: random.Random, strange: Sequence[Any] = STRANGE) -> Any:
    """Return content of which one value is replaced, removed, renamed or nested deeply."""
    holders = [holder for holder in _list_holders(content) if len(holder)]
    if not holders:
        return rng.choice(strange)
    holder = rng.choice(holders)
    key = rng.choice(list(holder)) if isinstance(holder, dict) else rng.randrange(len(holder))
    how = rng.choice(("replace", "replace", "replace", "delete", "rename", "nest"))
    if how == "replace":
        holder[key] = rng.choice(strange)
    elif how == "delete":
        del holder[key]
    elif how == "rename" and isinstance(holder, dict):
        holder[rng.choice(("x", "", "_target_", "hydra", "é"))] = holder.pop(key)
    else:
        for _ in range(rng.choice((1, 20, 100))):
            holder[key] = [holder[key]]
    return content


def _list_holders(content: Any) -> list[Any]:
    values = content.values() if isinstance(content, dict) else content
    if not isinstance(content, dict | list):
        return []
    return [content, *(holder for value in values for holder in _list_holders(value))]


def _list_payloads(canary: Path) -> tuple[Any, ...]:
    touch = f"touch {canary}"
    return (
        *({"_target_": "os.system", "command": touch}, "os.system", "${oc.env:HOME}"),
        {"_target_": "builtins.exec", "_args_": [f"open({str(canary)!r}, 'w')"]},
        {"_target_": "subprocess.run", "args": touch, "shell": True},
        {"_target_": "pathlib.Path.touch", "self": str(canary)},
        {"_target_": "lightning_nas.files.os.system", "command": touch},
        *(f'""";import os;os.system({touch!r})#', f"';import os;os.system({touch!r})#"),
        *(f"$(touch {canary})", f"; {touch}", f"|{touch}"),
    )


def change_json(path: Path, rng: random.Random, canary: Path) -> None:
    """Change a value of a JSON file, perhaps to a payload."""
    strange = (*STRANGE, *_list_payloads(canary))
    path.write_text(json.dumps(change_value(json.loads(path.read_text()), rng, strange)))


def change_yaml(path: Path, rng: random.Random, canary: Path) -> None:
    """Change a value of a YAML file, perhaps to a payload or a tag that runs code."""
    content = yaml.safe_load(path.read_text())
    strange = (*STRANGE, *_list_payloads(canary), *_list_payloads(canary))
    text = yaml.safe_dump(change_value(content, rng, strange), sort_keys=False)
    if rng.random() < 0.1:
        tag = f"!!python/object/apply:os.system ['touch {canary}']"
        text = f"{text}zz: {tag}\n"
    path.write_text(text)


def change_csv(path: Path, rng: random.Random, canary: Path) -> None:
    """Change a cell, a column or a row of a CSV file."""
    rows = [line.split(",") for line in path.read_text().splitlines()]
    row = rng.choice(rows)
    cell = rng.randrange(len(row))
    how = rng.choice(("cell", "cell", "cell", "column", "row", "cells"))
    if how == "cell":
        row[cell] = str(rng.choice(STRANGE)).replace("\n", " ")
    elif how == "column":
        for one in rows:
            del one[min(cell, len(one) - 1)]
    elif how == "row":
        rows.insert(rng.randrange(len(rows)), row)
    else:
        row.extend(["1"] * rng.choice((1, 1000)))
    path.write_text("\n".join(map(",".join, rows)) + "\n")


def change_journal(path: Path, rng: random.Random, canary: Path) -> None:
    """Change a cell of a journal, or remove a column, a row or a table."""
    database = sqlite3.connect(path, isolation_level=None)
    columns = [row[1] for row in database.execute("PRAGMA table_info(trials)")]
    column, number = rng.choice(columns), rng.randrange(len(columns))
    how = rng.choice(("cell", "cell", "cell", "cell", "drop column", "drop table", "delete"))
    try:
        if how == "cell":
            value = rng.choice((*STRANGE, "[1, 2]", "[NaN]", "{}", "[" * 5000, "9" * 5000))
            value = value if isinstance(value, int | float | str | None) else json.dumps(value)
            database.execute(f"UPDATE trials SET {column} = ? WHERE number >= ?", (value, number))
        elif how == "drop column":
            database.execute(f"ALTER TABLE trials DROP COLUMN {column}")
        elif how == "drop table":
            database.execute(f"DROP TABLE {rng.choice(('trials', 'about'))}")
        else:
            database.execute("DELETE FROM trials WHERE number = ?", (number,))
    except (sqlite3.Error, OverflowError):
        database.execute("UPDATE about SET value = 'x'")
    database.close()


def change_checkpoint(path: Path, rng: random.Random, canary: Path) -> None:
    """Change a value of a checkpoint, or add an object that runs code when it is unpickled."""
    if path.suffix == ".safetensors":
        change_bytes(path, rng, canary)
        return
    content = torch.load(path, weights_only=True)
    if rng.random() < 0.15:
        content["payload"] = Payload(canary)
    else:
        tensors = (torch.ones(2), torch.full((3, 3), float("nan")), torch.empty(0))
        content = change_value(content, rng, (*STRANGE, *_list_payloads(canary), *tensors))
    written = io.BytesIO()
    torch.save(content, written)
    path.write_bytes(written.getvalue())


def change_svg(path: Path, rng: random.Random, canary: Path) -> None:
    """Insert a script into a picture."""
    scripts = (
        "<script>alert(1)</script>",
        "</svg><script>alert(1)</script>",
        "<svg onload='alert(1)'>",
        "<img src=x onerror='alert(1)'>",
        '<a href="javascript:alert(1)">x</a>',
    )
    text = path.read_text()
    place = rng.randrange(len(text))
    path.write_text(text[:place] + rng.choice(scripts) + text[place:])
