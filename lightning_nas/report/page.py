"""HTML pages from templates: one file each, which the browser shows without loading anything else.

A small script adds buttons that copy commands. All else works without scripts.
"""

import base64
import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from lightning_nas.pictures.sheet import read_sheet
from lightning_nas.report.charts import Chart
from lightning_nas.report.inline import inline_figure
from lightning_nas.storage.run_folder import RunFolder

SCRIPT = (Path(__file__).parent / "templates" / "script.js").read_text()
_HASH = base64.b64encode(hashlib.sha256(SCRIPT.encode()).digest()).decode()
# The browser loads nothing and runs this script alone, even if a run folder smuggled in another.
CONTENT_POLICY = (
    f"default-src 'none'; style-src 'unsafe-inline'; img-src data:; script-src 'sha256-{_HASH}'"
)


def render_page(template: str, content: dict[str, Any]) -> str:
    """Return the HTML text of a page."""
    environment = Environment(
        loader=PackageLoader("lightning_nas.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        keep_trailing_newline=True,
    )
    own = {"content_policy": CONTENT_POLICY, "script": Markup(SCRIPT)}
    return environment.get_template(template).render(**own, **content)


def render_charts(charts: Iterable[Chart]) -> list[dict[str, Any]]:
    """Return charts with the keys that the macro ``figure`` in ``page.html`` reads."""
    return [
        {
            "name": f"chart-{chart.name}",
            "title": chart.title,
            "caption": chart.caption,
            "svg": inline_figure(chart.figure, chart.name, chart.title),
        }
        for chart in charts
    ]


def read_samples(run: RunFolder, summary: Mapping[str, Any]) -> dict[str, Any]:
    """Return the facts on the data for the macro ``data_facts`` in ``page.html``.

    Args:
        run: The run folder.
        summary: Content of its ``summary.json``.

    Raises:
        InputError: If the sheet of samples is damaged.
    """
    classes = list(summary.get("sample_classes", ()))
    has_sheet = bool(classes) and run.samples.exists()
    rows = read_sheet(run.samples, len(classes), 1) if has_sheet else []
    return {
        "line": summary.get("data_line", "").removeprefix("data: "),
        "problems": summary.get("data_problems", []),
        "samples": list(zip(classes, rows, strict=False)),
    }
