"""What several test modules share: one run on the demo world, made once."""

from pathlib import Path

import pandas as pd
import pytest

import linkage
from linkage.result import Result


@pytest.fixture(scope="session")
def demo_inputs() -> dict[str, Path]:
    world = linkage.datasets.demo()
    return {
        "events": world.events_path,
        "payments": world.payments_path,
        "accounts": world.accounts_path,
    }


@pytest.fixture(scope="session")
def demo_case(demo_inputs: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("demo") / "case"
    linkage.link(**demo_inputs, out=place)
    return place


@pytest.fixture(scope="session")
def demo_result(demo_case: Path) -> Result:
    return linkage.read_case(demo_case)


@pytest.fixture
def ring() -> pd.DataFrame:
    """Nine accounts of one operator on an address that forty strangers use too, and a crowd."""
    ring = [
        (f"ring{i}", kind, value)
        for i in range(9)
        for kind, value in [("payment", "card"), ("device", "phone"), ("ip", "192.0.2.1")]
    ]
    neighbours = [(f"neighbour{i:02}", "ip", "192.0.2.1") for i in range(40)]
    crowd = [
        (f"solo{i:03}", kind, f"{kind}{i}") for i in range(400) for kind in ("payment", "device")
    ]
    return pd.DataFrame(ring + neighbours + crowd, columns=["account_id", "kind", "value"])
