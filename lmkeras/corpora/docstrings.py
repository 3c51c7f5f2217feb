"""A labelled corpus that comes with Python: docstrings of the standard library, labelled by the module's area."""

import ast
import sysconfig
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

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
    for module in library_modules(library):
        for text in module.docstrings:
            if len(text) >= _SHORTEST:
                areas[text].add(module.area)
    return [(text, found.pop()) for text, found in areas.items() if len(found) == 1]


class Module(NamedTuple):
    """A module: the area it is of, the names of its functions and methods, and its docstrings."""

    area: str
    functions: frozenset[str]
    docstrings: tuple[str, ...]


@cache
def library_modules(library: Path) -> list[Module]:
    """The modules of the standard library that have an area, sorted by name.

    Args:
        library: the folder with their source, `sysconfig.get_path("stdlib")`.

    Raises:
        InputError: Python was installed without the source of its library.
    """
    area_of = {module: area for area, modules in _AREAS.items() for module in modules.split()}
    found = [_module(area_of[name], path) for name in sorted(area_of) for path in _sources(library, name)]
    if not found:
        raise InputError(
            f"{library} does not hold the source of Python's standard library, which has the docstrings. Use a Python "
            "that was installed with it, or a corpus of your own"
        )
    return found


def _sources(library: Path, module: str) -> list[Path]:
    """The source files of a module; an empty list where this version of Python does not have the module."""
    file = library / f"{module}.py"
    files = [file] if file.is_file() else sorted((library / module).rglob("*.py"))
    return [file for file in files if not {"test", "tests"} & set(file.relative_to(library).parts)]


def _module(area: str, path: Path) -> Module:
    functions, texts = set(), []
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            functions.add(node.name)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            texts.append(ast.get_docstring(node) or "")
    return Module(area, frozenset(functions), tuple(texts))
