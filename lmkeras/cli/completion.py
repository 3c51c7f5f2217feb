"""The verb that teaches a shell what may follow on the command line: completion."""

from typing import Annotated

from lmkeras.arguments import Shell, Shown, script_for


def completion(shell: Annotated[Shell, Shown(positional=True)]) -> None:
    """Print the script with which a shell completes verbs, options and their values when the Tab key is pressed.

    For bash, add the line `source <(lmkeras completion bash)` to ~/.bashrc; for zsh, `source <(lmkeras completion zsh)`
    to ~/.zshrc, below `autoload -U compinit; compinit`; for fish, `lmkeras completion fish | source` to
    ~/.config/fish/config.fish.

    Args:
        shell: the shell that reads the script.
    """
    print(script_for(shell, "lmkeras"), end="")
