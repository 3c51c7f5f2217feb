"""The command line: each verb is one function, its help and defaults come from the function's own signature."""

from collections.abc import Callable, Sequence

import lmkeras
from lmkeras.arguments import Program, run_verb
from lmkeras.cli.answering import answer
from lmkeras.cli.chatting import chat
from lmkeras.cli.comparison import compare
from lmkeras.cli.completion import completion
from lmkeras.cli.evaluation import evaluate_verb
from lmkeras.cli.language import generate, score
from lmkeras.cli.prediction import predict_verb
from lmkeras.cli.rewriting import rewrite
from lmkeras.cli.runs import export, info
from lmkeras.cli.tokenization import tokenize
from lmkeras.cli.training import train_verb
from lmkeras.cli.trial import cross_validate_verb, find_rate_verb
from lmkeras.cli.tuning import tune_verb
from lmkeras.tasks import tasks


def verbs() -> dict[str, Callable[..., None]]:
    """All verbs by name; there are `train`, `find-rate` and `tune` for every task that is registered."""
    return {
        "tokenize": tokenize,
        **{f"train {task.command}": train_verb(task) for task in tasks().values()},
        **{f"find-rate {task.command}": find_rate_verb(task) for task in tasks().values()},
        **{f"cross-validate {task.command}": cross_validate_verb(task) for task in tasks().values() if task.reports},
        **{f"tune {task.command}": tune_verb(task) for task in tasks().values()},
        "evaluate": evaluate_verb(),
        "score": score,
        "generate": generate,
        "chat": chat,
        "predict": predict_verb(),
        "answer": answer,
        "rewrite": rewrite,
        "export": export,
        "info": info,
        "compare": compare,
        "completion": completion,
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one verb.

    Args:
        arguments: what follows the program's name; None for the process's own.

    Returns:
        The exit code, see `run_verb`.
    """
    summary = (
        "Language models, classifiers, taggers, question answerers and translators on Keras 3 and TensorFlow: text in, "
        "text out."
    )
    second_words = dict.fromkeys(("train", "find-rate", "cross-validate", "tune"), "task")
    return run_verb(
        Program("lmkeras", lmkeras.__version__, summary, verbs=verbs(), second_words=second_words), arguments
    )
