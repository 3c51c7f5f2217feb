"""How the tests of the command line run it, in this process."""

import shlex

from lmkeras.cli import main


def run(capsys, *arguments) -> tuple[int, str, str]:
    """The exit code, standard output and standard error of `lmkeras arguments...`."""
    code = main([str(argument) for argument in arguments])
    out = capsys.readouterr()
    return code, out.out, out.err


def require_one_line(code: int, out: str, err: str, says: str) -> None:
    """Fails unless the command ended with 2 and said so in one line, without a traceback."""
    assert code == 2
    assert err.startswith("lmkeras: ")
    assert err.count("\n") == 1
    assert says in err
    assert "Traceback" not in err + out


def filled_in(arguments: list[str], places: dict[str, object]) -> list[str]:
    """The arguments with names of places, alone or before a slash, made paths: "RUN/x" → "/tmp/run/x"."""
    parts = ((*argument.split("/", 1), None)[:2] for argument in arguments)
    return [str(places.get(first, first)) + ("" if rest is None else f"/{rest}") for first, rest in parts]


def run_line(capsys, line: str) -> tuple[int, str, str]:
    """What `run` returns, of a command as one types it."""
    return run(capsys, *shlex.split(line))


def contents(folder) -> dict[str, bytes | bool]:
    """All that is in a folder, by name: files with their bytes."""
    return {str(path): path.is_file() and path.read_bytes() for path in folder.rglob("*")}
