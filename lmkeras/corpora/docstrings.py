"""A labelled corpus that comes with Python: the standard library's docstrings, by the area that they are from."""

import ast
import sysconfig
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from lmkeras.errors import InputError

#: Characters; what is shorter ("Close the file.") could stand anywhere.
_SHORTEST = 40

#: Chapters of the standard library's reference, small neighbours as one area; with a module the private one that it
#: is written in. Left out is what distributions package apart (tkinter), tests, and modules that belong nowhere else.
_AREAS = {
    "text": """
        string re sre_compile sre_parse difflib textwrap stringprep codecs locale gettext html xml
        _markupbase
    """,
    "data": """
        datetime _pydatetime _strptime calendar zoneinfo collections _collections_abc heapq bisect weakref
        _weakrefset types copy pprint reprlib enum graphlib
    """,
    "numbers": "numbers decimal _pydecimal fractions random statistics colorsys",
    "files": """
        pathlib genericpath posixpath ntpath fileinput stat filecmp tempfile glob fnmatch linecache shutil
        pickle copyreg shelve dbm sqlite3 gzip bz2 lzma zipfile tarfile _compression csv configparser
        tomllib netrc plistlib
    """,
    "system": "os io _pyio argparse optparse getopt logging getpass curses platform ctypes pty tty",
    "concurrency": """
        threading _threading_local multiprocessing concurrent subprocess sched queue asyncio contextvars
    """,
    "internet": """
        socket ssl selectors socketserver email json mailbox mimetypes base64 quopri webbrowser wsgiref
        urllib http ftplib poplib imaplib smtplib uuid xmlrpc ipaddress
    """,
    "development": """
        typing pydoc doctest unittest bdb pdb profile cProfile pstats timeit trace tracemalloc venv zipapp
    """,
    "language": """
        sysconfig warnings dataclasses contextlib abc _py_abc traceback inspect site code codeop importlib
        pkgutil modulefinder runpy zipimport ast symtable tokenize keyword tabnanny pyclbr py_compile
        compileall dis pickletools
    """,
}


def python_docstrings() -> Iterator[tuple[str, str]]:
    """The docstrings of the standard library's modules, classes, functions and methods, each with its area.

    They are read from the installed source, which is parsed and not imported, so that a version of Python always
    gives the same. A docstring is there once; one that stands in two areas, or is very short, is left out.

    Returns:
        An iterator of (docstring, area), sorted by module; within one, what is outside comes before what is inside.

    Raises:
        InputError: Python was installed without the source of its library.
    """
    return iter(_examples(Path(sysconfig.get_path("stdlib"))))


@cache
def _examples(library: Path) -> list[tuple[str, str]]:
    areas = defaultdict(set)
    area_of = {module: area for area, modules in _AREAS.items() for module in modules.split()}
    for module in sorted(area_of):
        for path in _sources(library, module):
            for text in _docstrings(path):
                areas[text].add(area_of[module])
    if not areas:
        raise InputError(
            f"builtin:python-docstrings: {library} does not hold the source of Python's standard library. Use a "
            "Python that was installed with it, or a corpus of your own"
        )
    return [(text, found.pop()) for text, found in areas.items() if len(found) == 1]


def _sources(library: Path, module: str) -> list[Path]:
    """The files that a module is written in; none where this version of Python does not have it."""
    file = library / f"{module}.py"
    files = [file] if file.is_file() else sorted((library / module).rglob("*.py"))
    return [file for file in files if not {"test", "tests"} & set(file.relative_to(library).parts)]


def _docstrings(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            text = ast.get_docstring(node) or ""
            if len(text) >= _SHORTEST:
                yield text
