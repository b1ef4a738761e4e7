"""Draws the pictures of the desk: the widget and the dossier of the demo world's first cluster.

    python docs/figures/draw_desk.py CASE

CASE is what ``linkage run --demo --out CASE`` wrote. Needs playwright and a Chromium.
"""

import sys
import tempfile
from pathlib import Path

import linkage

HERE = Path(__file__).parent


def main() -> None:
    """Draw widget.png and dossier.png beside this file."""
    sys.path.insert(0, str(HERE.parents[1] / "tests"))
    from browser import open_page, write_widget_page

    result = linkage.read_case(sys.argv[1])
    evidence = result.evidence.query("cluster_id == 1 and kind == 'prompt'")
    template = evidence["value"].value_counts().index[0]
    with tempfile.TemporaryDirectory() as folder:
        file = write_widget_page(result, 1, Path(folder) / "widget.html", height=600)
        with open_page(file, color_scheme="light", viewport={"width": 1180, "height": 620}) as page:
            page.wait_for_function("window.ready")
            page.fill(".lk-search", template)
            page.keyboard.press("Enter")
            page.click("text=Fit")
            page.wait_for_timeout(700)
            page.locator(".lk-root").screenshot(path=HERE / "widget.png")
        file = result.report(Path(folder) / "dossier.html", 1)
        with open_page(file, color_scheme="light", viewport={"width": 980, "height": 1290}) as page:
            page.screenshot(path=HERE / "dossier.png")


if __name__ == "__main__":
    main()
