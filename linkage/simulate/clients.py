"""What requests come from: browsers, SDKs and tools, with the TLS prints that belong to them."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from linkage.simulate.draws import Floats, Ints, hash_keys

__all__ = ["Clients", "make_clients"]

_SYSTEMS: Final = (
    ("Windows NT 10.0; Win64; x64", 0.5),
    ("Macintosh; Intel Mac OS X 10_15_7", 0.2),
    ("X11; Linux x86_64", 0.06),
    ("Linux; Android 15; K", 0.24),
)
_SDK_SHARES: Final = (("python-sdk", 0.6), ("node-sdk", 0.3), ("go-sdk", 0.1))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Clients:
    """A catalogue of clients: row = client."""

    user_agent: list[str]
    tls: list[str]  # in the form of JA4: transport and counts, then two hashes
    browser_share: Floats  # how often strangers use it; 0 for what is no browser
    sdk_share: Floats  # the same among programs
    tool: Ints  # rows of the popular tools, the most used first
    runner: Ints  # rows of the build jobs' clients


def make_clients(n_tools: int, n_runners: int) -> Clients:
    """Make the catalogue.

    Parameters
    ----------
    n_tools : int
        Popular open-source tools.
    n_runners : int
        Popular build steps.

    Returns
    -------
    Clients
    """
    browsers = _list_browsers()
    sdks = [
        (f"{name}/{major}.{minor}.0 (linux; x64)", f"{name}-{minor // 4}", share / (1 + rank))
        for name, share in _SDK_SHARES
        for rank, (major, minor) in enumerate((1, m) for m in range(40, 26, -1))
    ]
    tools = [(f"opentool-{k}/{2 + k % 3}.{k % 10}.1", f"tool-{k % 3}", 0.0) for k in range(n_tools)]
    runners = [(f"ci-step-{k}/3.{k % 8}", f"runner-{k % 2}", 0.0) for k in range(n_runners)]
    rows = [*browsers, *sdks, *tools, *runners]
    shares = np.array([share for _, _, share in rows])
    is_browser = np.arange(len(rows)) < len(browsers)
    first_tool = len(browsers) + len(sdks)
    return Clients(
        user_agent=[user_agent for user_agent, _, _ in rows],
        tls=[_make_tls(stack) for _, stack, _ in rows],
        browser_share=np.where(is_browser, shares, 0.0),
        sdk_share=np.where(is_browser, 0.0, shares),
        tool=np.arange(first_tool, first_tool + n_tools),
        runner=np.arange(first_tool + n_tools, len(rows)),
    )


def _list_browsers() -> list[tuple[str, str, float]]:
    rows = []
    for system, system_share in _SYSTEMS:
        for age in range(12):
            version = 148 - age
            share = system_share * 0.55**age
            chrome = (
                f"Mozilla/5.0 ({system}) AppleWebKit/537.36 (KHTML, like Gecko) "
                f"Chrome/{version}.0.0.0 Safari/537.36"
            )
            rows.append((chrome, f"chrome-{version // 4}", 0.62 * share))
            rows.append((f"{chrome} Edg/{version}.0.0.0", f"chrome-{version // 4}", 0.1 * share))
            firefox = f"Mozilla/5.0 ({system}; rv:{version}.0) Gecko/20100101 Firefox/{version}.0"
            rows.append((firefox, f"firefox-{version // 6}", 0.08 * share))
    for age in range(8):
        for device, share in (("Macintosh; Intel Mac OS X 10_15_7", 0.06), ("iPhone", 0.14)):
            safari = (
                f"Mozilla/5.0 ({device}) AppleWebKit/605.1.15 (KHTML, like Gecko) "
                f"Version/{26 - age // 4}.{4 - age % 4} Safari/605.1.15"
            )
            rows.append((safari, f"safari-{26 - age // 4}", share * 0.5**age))
    return rows


def _make_tls(stack: str) -> str:
    key = [int.from_bytes(stack.encode()[k : k + 7], "big") for k in range(0, len(stack), 7)]
    drawn = int(hash_keys(*key, 51)[0])
    other = int(hash_keys(*key, 52)[0])
    kind = "h2" if drawn % 5 else "h1"
    ciphers, extensions = 13 + drawn % 6, 9 + (drawn >> 8) % 9
    return f"t13d{ciphers:02d}{extensions:02d}{kind}_{drawn >> 16:012x}_{other >> 16:012x}"
