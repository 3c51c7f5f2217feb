"""The command line: each verb is one function, its help and defaults come from the function's own signature."""

from collections.abc import Sequence

from lmkeras.arguments import run_verb
from lmkeras.cli.classification import predict, train_classifier
from lmkeras.cli.evaluation import evaluate
from lmkeras.cli.language import generate, score, train_lm
from lmkeras.cli.runs import export, info
from lmkeras.cli.tokenization import tokenize

VERBS = {
    "tokenize": tokenize,
    "train lm": train_lm,
    "train classifier": train_classifier,
    "evaluate": evaluate,
    "score": score,
    "generate": generate,
    "predict": predict,
    "export": export,
    "info": info,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one verb.

    Args:
        arguments: what follows the program's name; None for the process's own.

    Returns:
        The exit code, see `run_verb`.
    """
    summary = "Language models and text classifiers on Keras 3 and TensorFlow: text in, text out."
    return run_verb(VERBS, summary, arguments)
