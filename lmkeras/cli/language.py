"""The verbs that only language models have: score, generate."""

import sys
from collections.abc import Iterator
from typing import Annotated

from lmkeras.arguments import Shown
from lmkeras.cli.runs import Run, lines_typed, loaded, typed_text
from lmkeras.errors import InputError
from lmkeras.tasks.language import Language


def score(
    run: Run,
    texts: Annotated[list[str], Shown("TEXT", positional=True)] = [],  # noqa: B006
    tokens: bool = False,
    device: str = "auto",
) -> None:
    """Score texts by the chain rule. Prints log probability in nats, number of tokens, perplexity and text, with tabs.

    Args:
        run: folder of a saved model.
        texts: the texts. Without them: one text a line from standard input.
        tokens: also print the log probability of each token, on a line of its own.
        device: auto, cpu, gpu or gpu:N.
    """
    with loaded(run, device, Language) as model:
        for text in texts or lines_typed():
            result = model.score(text)
            numbers = f"{result.log_probability:.4f}\t{len(result.tokens)}\t{result.perplexity:.4f}"
            print(f"{numbers}\t{text}", flush=True)
            if tokens:
                for token, value in zip(result.tokens, result.token_log_probabilities, strict=True):
                    print(f"  {value:.4f}\t{token!r}")


def generate(
    run: Run,
    prompt: str | None = None,
    max_new_tokens: int = 200,
    temperature: float = 0.8,
    top_k: int = 0,
    top_p: float = 1.0,
    repetition_penalty: float = 1.0,
    stop: Annotated[list[str], Shown("TEXT")] = [],  # noqa: B006
    num_samples: int = 1,
    seed: int = 0,
    device: str = "auto",
) -> None:
    """Continue a prompt with generated text; without --prompt, ask for one prompt after the other.

    Args:
        run: folder of a saved model.
        prompt: the text to continue; "" starts a new text.
        max_new_tokens: the most tokens to add.
        temperature: 0: always the likeliest token; 1: the model's probabilities; above 1: unlikely tokens more often.
        top_k: draw only from this many of the likeliest tokens; 0: from all.
        top_p: draw only from the likeliest tokens whose probabilities together reach this value; 1: from all.
        repetition_penalty: above 1, tokens that are already in the text become less likely; 1: no penalty.
        stop: stop texts; the generated text ends before the first of them.
        num_samples: number of texts to generate.
        seed: the same seed gives the same text.
        device: auto, cpu, gpu or gpu:N.
    """
    options = {"temperature": temperature, "top_k": top_k, "top_p": top_p}
    options |= {"repetition_penalty": repetition_penalty, "seed": seed}
    if num_samples < 1:
        raise InputError(f"num_samples must be at least 1, got {num_samples}")
    with loaded(run, device, Language) as model:
        for text in _prompts() if prompt is None else [prompt]:
            if num_samples > 1:
                samples = model.generate(text, max_new_tokens, stop=stop, num_samples=num_samples, **options)
                print(*(text + sample for sample in samples), sep="\n", flush=True)
                continue
            pieces = model.stream(text, max_new_tokens, stop, **options)  # checks the arguments
            print(text, end="", flush=True)
            for piece in pieces:
                print(piece, end="", flush=True)
            print()


def _prompts() -> Iterator[str]:
    """Prompts typed one after the other, until the end of the input."""
    with typed_text():
        while True:
            try:
                yield input("prompt> " if sys.stdin.isatty() else "")
            except EOFError:
                return
