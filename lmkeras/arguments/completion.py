"""What a shell offers when the user presses the Tab key, and the scripts that teach it to bash, zsh and fish."""

from collections.abc import Mapping, Sequence
from typing import Literal

from lmkeras.arguments.options import Verb, options_of

#: the word after which a shell gives all that was typed so far, to learn how it could go on
WORD = "--complete"
Shell = Literal["bash", "zsh", "fish"]

_SCRIPTS = {
    "bash": """_PROGRAM() {
    local IFS=$'\\n'
    COMPREPLY=($(PROGRAM --complete "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null))
}
complete -o default -F _PROGRAM PROGRAM
""",
    "zsh": """_PROGRAM() {
    local -a found
    found=("${(@f)$(PROGRAM --complete "${(@)words[2,CURRENT]}" 2>/dev/null)}")
    found=(${found:#})
    if (( ${#found} )); then compadd -a found; else _files; fi
}
compdef _PROGRAM PROGRAM
""",
    "fish": """function __PROGRAM
    set -l words (commandline -opc)
    PROGRAM --complete $words[2..-1] (commandline -ct) 2>/dev/null
end
complete -c PROGRAM -n 'count (__PROGRAM) >/dev/null' -f -a '(__PROGRAM)'
""",
}


def script_for(shell: Shell, program: str) -> str:
    """The script that a shell reads at its start, so that the Tab key completes verbs, options and their values."""
    return _SCRIPTS[shell].replace("PROGRAM", program)


def completions(words: Sequence[str], verbs: Mapping[str, Verb]) -> list[str]:
    """How the last of the words could go on; empty where a file, a text or a number is expected.

    Args:
        words: what stands after the program's name up to the cursor; the last one is what is being typed, perhaps "".
        verbs: the functions by name, of one word or two.
    """
    *before, last = words or [""]
    return [word for word in _expected(before, last, verbs) if word.startswith(last)]


def _expected(before: Sequence[str], last: str, verbs: Mapping[str, Verb]) -> list[str]:
    for count in (1, 2):
        if " ".join(before[:count]) in verbs and len(before) >= count:
            return _of_verb(before[count:], last, verbs[" ".join(before[:count])])
    if before[:1] == ["help"]:
        before = before[1:]
    parts = [name.split() for name in verbs]
    known = [part[len(before)] for part in parts if len(part) > len(before) and part[: len(before)] == list(before)]
    return list(dict.fromkeys([*known, *([] if before else ["help", "--help", "--version"])]))


def _of_verb(before: Sequence[str], last: str, verb: Verb) -> list[str]:
    options = options_of(verb)
    if last.startswith("-"):
        return [flag for option in options for flag in option.flags] + ["--help"]
    if not before:
        return [choice for option in options if option.shown.positional for choice in option.choices]
    return [choice for option in options if before[-1] in option.flags[:1] for choice in option.choices]
