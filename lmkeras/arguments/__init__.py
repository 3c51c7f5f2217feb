"""The frame of the command line: a verb is a function; its signature gives the options, its docstring the help.

`Shown` says how a parameter is shown, `Program` what verbs there are; `run_verb` reads the arguments, shows help and
errors, and runs the verb.
"""

from lmkeras.arguments.completion import Shell, script_for
from lmkeras.arguments.options import Option, Shown
from lmkeras.arguments.running import Command, Program, run_verb, running_command

__all__ = [
    "Command",
    "Option",
    "Program",
    "Shell",
    "Shown",
    "run_verb",
    "running_command",
    "script_for",
]
