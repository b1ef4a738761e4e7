"""A headless Chromium, and a page that runs the widget as a notebook would."""

from __future__ import annotations

import base64
import json
import os
import shutil
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from linkage.desk.widget import make_payload, pack_columns

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = """<!doctype html><html lang="en"><head><meta charset="utf-8"><style>{css}
body {{ margin: 8px; color-scheme: light dark; background: Canvas }}</style></head><body>
<div id="widget"></div>
<script type="module">
const bytes = Uint8Array.from(atob("{data}"), (c) => c.charCodeAt(0));
const view = new DataView(bytes.buffer);
const state = {{ header: {header}, data: view, picked: [], height: {height} }};
const heard = {{}};
window.model = {{
  get: (name) => state[name],
  set: (name, value) => {{
    state[name] = value;
    (heard[`change:${{name}}`] || []).forEach((f) => f());
  }},
  on: (name, f) => {{ (heard[name] = heard[name] || []).push(f); }},
  off: () => {{}},
  save_changes: () => {{ window.saved = state.picked; }},
}};
const code = URL.createObjectURL(new Blob([{code}], {{ type: "text/javascript" }}));
const start = performance.now();
const widget = (await import(code)).default;
window.stop = widget.render({{ model: window.model, el: document.getElementById("widget") }});
window.renderMs = performance.now() - start;
window.ready = true;
</script></body></html>"""


def find_chromium() -> str | None:
    """Return the path of an installed Chromium."""
    named = os.environ.get("LINKAGE_CHROMIUM")
    return named or shutil.which("chromium") or shutil.which("chromium-browser")


def require_chromium() -> str:
    """Return Chromium's path, or skip the test and say why."""
    pytest.importorskip("playwright", reason="playwright is not installed (extra dev)")
    path = find_chromium()
    if path is None:
        pytest.skip("no Chromium is installed: apt-get install chromium, or set LINKAGE_CHROMIUM")
    return path


@contextmanager
def open_page(file: Path, **options: Any) -> Iterator[Any]:
    """Open a file; ``page.told`` collects what it asked for and what it complained about."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=find_chromium(),
            args=["--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"],
        )
        page = browser.new_page(**{"viewport": {"width": 1200, "height": 720}, **options})
        page.told = []
        page.on("request", lambda request: page.told.append(request.url))
        page.on("pageerror", lambda error: page.told.append(f"error {error}"))
        page.on("dialog", lambda dialog: (page.told.append("dialog"), dialog.dismiss()))
        page.goto(file.as_uri())
        try:
            yield page
        finally:
            browser.close()


def write_widget_page(result: Any, cluster_id: int, path: Path, height: int = 640) -> Path:
    """Write a page with the widget of a cluster."""
    payload = make_payload(result, cluster_id)
    index, data = pack_columns(payload.columns)
    static = files("linkage.desk").joinpath("static")
    header = json.dumps({**payload.header, "columns": index})
    code = static.joinpath("graph.js").read_text(encoding="utf-8")
    path.write_text(
        PAGE.format(
            css=static.joinpath("graph.css").read_text(encoding="utf-8"),
            data=base64.b64encode(data).decode(),
            header=_quote(header),
            code=_quote(code),
            height=height,
        ),
        encoding="utf-8",
    )
    return path


def _quote(text: str) -> str:
    """Spell a text as JavaScript inside HTML."""
    return json.dumps(text).replace("<", "\\u003c").replace("\u2028", "\\u2028")
