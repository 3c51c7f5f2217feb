"""The verbs that only language models have: score, generate."""

import dataclasses
import itertools
import random
import sys
from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, Literal, NamedTuple

from lmkeras.arguments import Shown
from lmkeras.cli.runs import HeldDtype, Run, lines_typed, loaded, require_task, typed_text
from lmkeras.corpora.corpus import Examples
from lmkeras.corpora.unlabelled import TextRow, open_text_rows, text_row
from lmkeras.decoding.sampling import Beams, chosen, require_counts, require_no_chance, stop_texts
from lmkeras.errors import InputError
from lmkeras.models.tables import as_json, beside, require_output, write_rows
from lmkeras.tasks.language import Language


def score(
    run: Run,
    texts: Annotated[list[str], Shown("TEXT", positional=True)] = [],  # noqa: B006
    tokens: bool = False,
    json: bool = False,
    special_tokens: bool = False,
    weights_dtype: HeldDtype = None,
    device: str = "auto",
) -> None:
    """Score texts by the chain rule. Prints log probability in nats, number of tokens, perplexity and text, with tabs.

    Args:
        run: folder of a saved model.
        texts: the texts. Without them: one text a line from standard input.
        tokens: also print the log probability of each token, on a line of its own.
        json: print one JSON object for each text, with its tokens and their log probabilities.
        special_tokens: read the names of special tokens in texts, such as <|im_end|>, as these tokens, not as text.
        device: where to compute: auto, cpu, gpu or gpu:N.
    """
    with loaded(run, device, Language, weights_dtype=weights_dtype) as model:
        for text in texts or lines_typed():
            result = model.score(text, special_tokens=special_tokens)
            if json:
                print(as_json({"text": text, **_score_row(result)}), flush=True)
                continue
            numbers = f"{result.log_probability:.4f}\t{len(result.tokens)}\t{result.perplexity:.4f}"
            print(f"{numbers}\t{text}", flush=True)
            if tokens:
                for token, value in zip(result.tokens, result.token_log_probabilities, strict=True):
                    print(f"  {value:.4f}\t{token!r}")


def _score_row(score) -> dict[str, object]:
    tokens = zip(score.tokens, score.token_log_probabilities, strict=True)
    return {
        "log_probability": score.log_probability,
        "perplexity": score.perplexity,
        "tokens": [{"token": token, "log_probability": value} for token, value in tokens],
    }


@dataclasses.dataclass(frozen=True)
class Prompts:
    """The texts to continue."""

    prompt: str | None = None
    """the text to continue; "" starts a new text."""
    prompts: Annotated[list[str] | None, Shown("FILES")] = None
    """files of prompts: .txt with one prompt a line, .csv, .tsv or .jsonl (.gz too)."""
    text_column: str = "text"
    """column (.csv, .tsv) or key (.jsonl) that holds the prompts."""
    encoding: str = "utf-8"
    """the files' encoding."""

    def __post_init__(self):
        if self.prompt is not None and self.prompts is not None:
            raise InputError("give one prompt as --prompt, or files of prompts as --prompts, not both")

    def rows(self) -> Iterable[TextRow]:
        """The prompts with their rows; those that are typed come as they are typed."""
        if self.prompts is not None:
            return open_text_rows(self.prompts, text_column=self.text_column, encoding=self.encoding)
        return map(text_row, _typed_prompts() if self.prompt is None else [self.prompt])

    @property
    def asked_for(self) -> bool:
        """Whether somebody sits at a terminal and is asked for prompts."""
        return self.prompt is None and self.prompts is None and sys.stdin.isatty()


@dataclasses.dataclass(frozen=True)
class Chance:
    """How the next token is chosen."""

    temperature: float | None = None
    """0: always the likeliest token; below 1: likely tokens more often; 1: the model's probabilities; above 1: unlikely
    tokens more often; None: the model's own, 0.8 for one trained with lmkeras."""
    top_k: int | None = None
    """draw only from this many of the likeliest tokens; 0: from all; None: the model's own, or from all."""
    top_p: float | None = None
    """draw only from the likeliest tokens whose probabilities together reach this value; 1: from all; None: the model's
    own, or from all."""
    repetition_penalty: float | None = None
    """above 1, tokens that are already in the text become less likely; None: the model's own, or no penalty."""
    seed: int | Literal["auto", "random"] = "auto"
    """the same seed gives the same text; random: draw one and say which; auto: 0, or drawn where prompts are asked
    for."""

    def __post_init__(self):
        chosen(None, self.of_seed(0 if isinstance(self.seed, str) else self.seed))  # InputError for impossible numbers

    def of_seed(self, seed: int) -> dict[str, float | None]:
        """The same choice with this seed, as arguments of `LanguageModel.generate`."""
        return {**vars(self), "seed": seed}


def generate(
    run: Run,
    prompts: Prompts = Prompts(),
    max_new_tokens: int | None = None,
    sampling: Chance = Chance(),
    beams: Beams = Beams(1),  # noqa: B008
    stop: Annotated[list[str], Shown("TEXT")] = [],  # noqa: B006
    num_samples: int = 1,
    output: Annotated[str | None, Shown("FILE")] = None,
    json: bool = False,
    overwrite: bool = False,
    special_tokens: bool = False,
    weights_dtype: HeldDtype = None,
    device: str = "auto",
) -> None:
    """Continue prompts with generated text; without --prompt and --prompts, ask for one prompt after the other.

    Between texts, where there are several, stands a line of dashes.

    Args:
        run: folder of a saved model.
        max_new_tokens: the most tokens to add; None: the model's own number, or 200.
        stop: stop texts; the generated text ends before the first of them.
        num_samples: number of texts to generate for each prompt; of beams, the best ones.
        output: .csv, .tsv or .jsonl file for the new texts, beside all columns of the prompts; None: standard output.
        json: print one JSON object for each text.
        overwrite: replace the output file if it exists already.
        special_tokens: read the names of special tokens in prompts, such as <|im_end|>, as these tokens, not as text.
        device: where to compute: auto, cpu, gpu or gpu:N.
    """
    require_output(output, overwrite=overwrite, json=json)
    require_counts(chosen(None, {"max_new_tokens": max_new_tokens}).max_new_tokens, num_samples)
    how = {"max_new_tokens": max_new_tokens, "stop": stop_texts(stop), "special_tokens": special_tokens}
    if beams != Beams(1):
        beams.require(num_samples)
        require_no_chance({name: value for name, value in vars(sampling).items() if name != "seed"})
        how |= vars(beams)
    require_task(run, Language)
    rows = prompts.rows()
    with loaded(run, device, Language, weights_dtype=weights_dtype) as model:
        texts = _texts(model, rows, num_samples=num_samples, seeds=_Seeds(sampling, prompts.asked_for), how=how)
        written = ((one.row.columns, {"generated": "".join(one.pieces), **one.made_with}) for one in texts)
        if output is not None:
            count = write_rows(output, written, names=["generated", "sample", "seed"])
            print(f"{count} texts generated in {output}")
        elif json:
            for row in written:
                print(as_json(beside(*row)), flush=True)
        else:
            _print_texts(texts, apart=not prompts.asked_for)


class NewText(NamedTuple):
    """A generated text."""

    row: TextRow
    """the prompt, with its row"""
    pieces: Iterable[str]
    """the text after the prompt, in pieces as they come"""
    made_with: Mapping[str, int]
    """sample: the number among the texts for the prompt, from 1; seed: the seed"""


def _texts(model, rows: Iterable[TextRow], num_samples: int, seeds: "_Seeds", how: Mapping) -> Iterator[NewText]:
    """The new texts: one after the other where prompts are typed, several at a time where they come from files."""
    at_a_time = max(1, _TEXTS_AT_A_TIME // num_samples) if isinstance(rows, Examples) else 1
    rows = iter(rows)
    while some := list(itertools.islice(rows, at_a_time)):
        sampling = seeds.next()
        options = {**how, **sampling}
        if len(some) * num_samples == 1 and "num_beams" not in how:
            yield NewText(some[0], model.stream(some[0].text, **options), {"sample": 1, "seed": sampling["seed"]})
            continue
        texts = model.generate([row.text for row in some], num_samples=num_samples, **options)
        for row, samples in zip(some, texts, strict=True):
            for number, text in enumerate([samples] if num_samples == 1 else samples, 1):
                yield NewText(row, [text], {"sample": number, "seed": sampling["seed"]})


class _Seeds:
    """The seeds of a command: one for all texts, or where prompts are asked for and none is named, one for each prompt.

    A seed that is drawn is printed on standard error, so that its text can be made again.
    """

    def __init__(self, chance: Chance, asked_for: bool):
        self._chance, self._asked_for = chance, asked_for
        self._draws = chance.seed == "random" or (chance.seed == "auto" and asked_for)
        self._kept = None

    def next(self) -> dict[str, float | None]:
        if self._kept is None or (self._draws and self._asked_for):
            given = 0 if isinstance(self._chance.seed, str) else self._chance.seed
            seed = random.SystemRandom().randrange(_SEEDS) if self._draws else given
            if self._draws:
                print(f"seed {seed}", file=sys.stderr, flush=True)
            self._kept = self._chance.of_seed(seed)
        return self._kept


def _print_texts(texts: Iterable[NewText], apart: bool) -> None:
    """Prints prompts with the new text after each, as it comes.

    Args:
        texts: the new texts.
        apart: whether a line stands between the texts of two prompts too, not only between samples.
    """
    for number, one in enumerate(texts):
        if one.made_with["sample"] > 1 or (apart and number):
            print(_BETWEEN)
        print(one.row.text, end="", flush=True)
        for piece in one.pieces:
            print(piece, end="", flush=True)
        print()


def _typed_prompts() -> Iterator[str]:
    """Prompts typed one after the other, until the end of the input."""
    with typed_text():
        while True:
            try:
                yield input("prompt> " if sys.stdin.isatty() else "")
            except EOFError:
                return


_TEXTS_AT_A_TIME = 16
_SEEDS = 1_000_000
_BETWEEN = "-" * 40
