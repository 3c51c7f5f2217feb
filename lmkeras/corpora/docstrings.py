"""A labelled corpus that comes with Python: docstrings of the standard library, labelled by the module's area."""

import ast
import sysconfig
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from lmkeras.errors import InputError

#: The fewest characters of a docstring: a shorter one ("Close the file.") could belong to any area.
_SHORTEST = 40

#: The modules of each area. An area is a chapter of the standard library's reference, or several small chapters that
#: are neighbours. Private modules that implement a public one are listed with it. Left out are tests, modules that
#: Linux distributions package apart (tkinter), and modules that fit no area.
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

    The installed source code is parsed, not imported, so that the same version of Python always gives the same
    examples. Every docstring comes once; very short ones, and those that occur in several areas, are left out.

    Returns:
        An iterator of (docstring, area), sorted by module; outer definitions come before those inside them.

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
    """The source files of a module; an empty list where this version of Python does not have the module."""
    file = library / f"{module}.py"
    files = [file] if file.is_file() else sorted((library / module).rglob("*.py"))
    return [file for file in files if not {"test", "tests"} & set(file.relative_to(library).parts)]


def _docstrings(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            text = ast.get_docstring(node) or ""
            if len(text) >= _SHORTEST:
                yield text
