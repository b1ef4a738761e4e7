"""What is free goes back to the system."""

import platform
import sys
from pathlib import Path

import pytest

from linkage.memory import release_memory


def read_resident_mb():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 1e6


@pytest.mark.skipif(
    sys.platform != "linux" or platform.libc_ver()[0] != "glibc", reason="of GNU's allocator"
)
def test_memory_that_is_free_goes_back():
    blocks = [bytearray(b"x" * 20_000) for _ in range(10_000)]  # too small to be mapped one by one
    last = bytearray(b"x" * 20_000)  # above them, so that they do not go back by themselves
    blocks.clear()
    before = read_resident_mb()
    release_memory()
    assert read_resident_mb() < before - 100
    assert len(last) == 20_000
