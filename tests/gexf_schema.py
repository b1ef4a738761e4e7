"""GEXF 1.3 as it is documented, for lxml to check what is written against."""

from __future__ import annotations

from pathlib import Path

import pytest


def check_gexf(path: Path) -> None:
    """Fail unless a file is GEXF 1.3.

    The grammar beside this file was written for these tests from the format's documentation
    (gexf.net): the format's own schema is under another licence and not copied here.
    """
    etree = pytest.importorskip("lxml.etree", reason="lxml is not installed (extra dev)")
    grammar = etree.RelaxNG(etree.parse(Path(__file__).with_name("gexf13.rng")))
    parser = etree.XMLParser(huge_tree=True, resolve_entities=False)
    grammar.assertValid(etree.parse(path, parser))
