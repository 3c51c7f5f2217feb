"""Settings that all tests share, and which of them are slow."""

import re
from pathlib import Path

import pytest
from hypothesis import settings

# a busy machine is no bug; everything else is as Hypothesis has it, which is repeatable where CI is set
settings.register_profile("lmkeras", settings(), deadline=None)
settings.load_profile("lmkeras")

HERE = Path(__file__).parent
#: files whose every test is slow, FILE::TEST for a test with whatever parameters, FILE::TEST[PARAMETERS] for one with
#: these; `make slow` runs them, `make test` the others
SLOW = (HERE / "slow.txt").read_text(encoding="utf-8").splitlines()


@pytest.hookimpl(tryfirst=True)  # before pytest leaves out what is marked
def pytest_collection_modifyitems(items):
    for item in items:
        file = item.path.relative_to(HERE).as_posix()
        if not {file, f"{file}::{item.originalname}", f"{file}::{item.name}"}.isdisjoint(SLOW):
            item.add_marker(pytest.mark.slow)


def missing_slow_tests() -> list[str]:
    """The entries of slow.txt that name no test."""
    missing = []
    for entry in SLOW:
        file, _, test = entry.partition("[")[0].partition("::")
        text = (HERE / file).read_text(encoding="utf-8") if (HERE / file).is_file() else ""
        if not re.search(rf"^def {test or 'test_'}", text, flags=re.MULTILINE):
            missing.append(entry)
    return missing
