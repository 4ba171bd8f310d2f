"""The W&B logger: online if there is an account and a network, otherwise offline. No prompts.

Nothing that W&B or its server does may end a run: a record that cannot be online is offline.
"""

import http.client
import logging
import os
import secrets
import ssl
import threading
import urllib.error
import urllib.request
from collections.abc import Sequence
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import wandb
from pytorch_lightning.loggers import WandbLogger
from pytorch_lightning.loggers.logger import rank_zero_experiment
from pytorch_lightning.utilities.rank_zero import rank_zero_only

from lightning_nas.storage.run_folder import RunFolder

log = logging.getLogger(__name__)
PROBE_SECONDS = 2.0
INIT_SECONDS = 5.0  # for the server to accept a record; W&B itself would wait for 90 s
CACHE = "XDG_CACHE_HOME"
DELETED = "deleted"  # in the answer of the server to the ID of a deleted record


class FallbackLogger(WandbLogger):
    """Lightning's W&B logger that records offline if the server does not accept the record.

    Args:
        folder: Run folder.
        settings: Keyword arguments passed to ``WandbLogger``.
    """

    def __init__(self, folder: Path, **settings: Any) -> None:
        super().__init__(save_dir=folder, **settings)
        self.folder = folder

    @property
    @rank_zero_experiment
    def experiment(self) -> Any:
        """The record of W&B; the first access opens the record."""
        if self._experiment is None:
            try:
                return super().experiment
            except wandb.Error as error:  # such as a bad key, or a record deleted on the server
                reason = str(error).strip().splitlines() or [type(error).__name__]
                self._record_offline(reason[0][:200])
        return super().experiment

    def _record_offline(self, reason: str) -> None:
        _warn_offline(self.folder, reason)
        wandb.teardown()  # the process of W&B still holds the ID
        self._wandb_init["mode"] = "offline"
        if DELETED in reason:
            self._wandb_init["id"] = _run_id(RunFolder(self.folder).wandb_id, False)


def wandb_logger(
    folder: str | Path,
    project: str,
    offline: bool | None = None,
    resume: str | None = None,
    tags: Sequence[str] = (),
) -> WandbLogger:
    """Return Lightning's W&B logger for a run folder.

    Args:
        folder: Run folder. The record is written to its ``wandb/``.
        project: Name of the W&B project.
        offline: Whether to record offline. None or false = offline only if there is no API key
            (``wandb login`` stores one), or if the server does not answer or refuses the record.
        resume: If not None, continue the record of the run folder.
        tags: Words by which W&B groups runs.
    """
    folder = Path(folder)
    _provide_cache(folder)
    logger = FallbackLogger(
        folder,
        project=project,
        tags=list(tags),
        id=_run_id(RunFolder(folder).wandb_id, resume is not None),
        mode=_mode(folder, offline),
        settings=wandb.Settings(silent=True, console="off", init_timeout=INIT_SECONDS),
    )
    logger._wandb_init.pop(
        "anonymous", None
    )  # wandb prints a warning if the key exists, even if it is None
    return logger


@rank_zero_only
def _mode(folder: Path, offline: bool | None) -> str | None:
    """Return ``online`` or ``offline``; None if the environment variable of W&B decides."""
    if os.environ.get("WANDB_MODE", "online") != "online":
        return None
    why = "offline=true" if offline else _why_offline()
    if why is None:
        return "online"
    _warn_offline(folder, why)
    return "offline"


def _warn_offline(folder: Path, why: str) -> None:
    log.warning(
        "W&B records offline (%s); to upload the record: wandb sync %s/wandb/offline-run-*",
        why,
        folder,
    )


def _why_offline() -> str | None:
    # Before the login, which waits for a server that does not answer for 5 s
    reason = _probe(wandb.setup().settings.base_url)
    if reason is not None:
        return reason
    try:
        has_key = wandb.login(prompt=False, verify=False)
    except (wandb.Error, ValueError) as error:  # such as a key that is too short
        return " ".join(str(error).split())[:200]
    return None if has_key else "no API key: wandb login"


def _probe(url: str) -> str | None:
    """Return why the server of W&B cannot be used; None if it answers."""
    host = urlsplit(url).hostname
    answers: list[int] = []

    def ask() -> None:
        try:
            urllib.request.urlopen(url, timeout=PROBE_SECONDS).close()
            answers.append(HTTPStatus.OK)
        except urllib.error.HTTPError as answer:
            answers.append(answer.code)
        except urllib.error.URLError as error:
            if isinstance(error.reason, ssl.SSLError):  # W&B has its own list of certificates
                answers.append(HTTPStatus.OK)
        except (OSError, ValueError, http.client.HTTPException):
            pass

    # The look-up of an unknown name ignores time-outs: it runs in a thread that can be abandoned.
    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(PROBE_SECONDS)
    if not answers:
        return f"{host} does not answer"
    if answers[0] >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return f"{host} answers with status {answers[0]}"
    return None


def _provide_cache(folder: Path) -> None:
    """Let W&B keep its own logs in the run folder if there is no home folder to write into."""
    home = os.environ.get("HOME", "")
    cache = Path(os.environ.get(CACHE) or f"{home}/.cache")
    places = (cache, *cache.parents)
    existing = next(place for place in places if place.exists())
    if not home or not os.access(existing, os.W_OK):
        os.environ[CACHE] = str(folder.resolve() / "wandb" / "cache")


def finish() -> None:
    """End the open record, if any, so that the next run in this process starts its own."""
    if wandb.run is not None:
        wandb.finish()


@rank_zero_only
def _run_id(path: Path, resumed: bool) -> str:
    """Return the ID of the record, which the run folder stores for a resumed run."""
    if resumed and path.exists():
        return path.read_text().strip()
    run_id = os.environ.get("WANDB_RUN_ID") or secrets.token_hex(
        4
    )  # the variable is set by the agent of a sweep
    path.write_text(run_id + "\n")
    return run_id
