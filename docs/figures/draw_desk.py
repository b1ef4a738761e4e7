"""Draws the pictures of the desk, of the demo world's first cluster, in docs/figures.

    linkage run --demo --out CASE
    python docs/figures/draw_desk.py CASE

CASE has to lie where the demo's files do not change: sign-ups and bans come from the accounts file
of the run. Needs the extra dev and a Chromium.
"""

import sys
import tempfile
from pathlib import Path

import linkage
from linkage import desk

HERE = Path(__file__).parent


def main() -> None:
    """Draw widget.png, dossier.png, overview.png and timeline.png beside this file."""
    sys.path.insert(0, str(HERE.parents[1] / "tests"))
    import vl_convert
    from browser import open_page, write_widget_page

    from linkage.desk.charts import chart_timeline

    result = linkage.read_case(sys.argv[1])
    background = desk.find_background(result.manifest)
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
        pages = {
            "dossier": desk.render_dossier(result, 1, background=background),
            "overview": desk.render_overview(result),
        }
        for name, html in pages.items():
            file = desk.write_page(html, Path(folder) / f"{name}.html")
            with open_page(
                file, color_scheme="light", viewport={"width": 980, "height": 1290}
            ) as page:
                page.screenshot(path=HERE / f"{name}.png")
    chart = chart_timeline(result, 1, background)
    (HERE / "timeline.png").write_bytes(vl_convert.vegalite_to_png(chart.to_dict()))


if __name__ == "__main__":
    main()
