"""Settings that all tests share, and which of them are slow."""

import re
from pathlib import Path

import pytest
from hypothesis import settings

# a busy machine is no bug; everything else is as Hypothesis has it, which is repeatable where CI is set
settings.register_profile("lmkeras", settings(), deadline=None)
settings.load_profile("lmkeras")

HERE = Path(__file__).parent
#: FILE, whose every test is slow, or FILE::PATTERN, a regular expression for the whole names of tests, with or without
#: their [PARAMETERS]; `make slow` runs them, `make test` the others
SLOW = [line.partition("::")[::2] for line in (HERE / "slow.txt").read_text(encoding="utf-8").splitlines()]


def is_slow(file: str, *names: str) -> bool:
    """Whether a test in this file that has these names is slow."""
    patterns = [pattern or ".*" for slow_file, pattern in SLOW if slow_file == file]
    return any(re.fullmatch(pattern, name) for pattern in patterns for name in names)


@pytest.hookimpl(tryfirst=True)  # before pytest leaves out what is marked
def pytest_collection_modifyitems(items):
    for item in items:
        if is_slow(item.path.relative_to(HERE).as_posix(), item.originalname, item.name):
            item.add_marker(pytest.mark.slow)


def missing_slow_tests() -> list[str]:
    """The lines of slow.txt that match no test, whatever its parameters."""
    missing = []
    for file, pattern in SLOW:
        text = (HERE / file).read_text(encoding="utf-8") if (HERE / file).is_file() else ""
        names = re.findall(r"^def (test_\w+)", text, flags=re.MULTILINE)
        if not any(re.fullmatch(pattern.partition(r"\[")[0] or ".*", name) for name in names):
            missing.append(f"{file}::{pattern}")
    return missing
