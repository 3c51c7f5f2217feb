"""Whether network and tokenizer belong together, and what is odd about the data of a training.

What is odd is said in one line for each thing; what is as usual gives no line. All of it follows from notes that were
taken while texts were tokenized: no text is read or tokenized again.
"""

import math
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np

from lmkeras.datasets import EncodedExamples, TokenShards, TokenStream
from lmkeras.datasets.notes import TextNotes
from lmkeras.datasets.tokenized import noted_of
from lmkeras.errors import InputError

# shares of the whole above which a line is worth reading
_MANY_DUPLICATES = 0.01
_MANY_UNKNOWN = 0.05
_MANY_CUT = 0.05
_UNBALANCED = 0.8
#: validation parts that give a larger standard error than this are too small
_LARGEST_ERROR_OF_SHARES = 0.05
_LARGEST_ERROR_OF_LOSSES = 0.05
_SPREAD_OF_LOSSES = 2.0  # nats, the usual standard deviation of a token's loss
_FEWEST_WINDOWS = 10


def require_length(max_length: int | None, limit: int | None) -> None:
    """Raises InputError if texts of max_length tokens are too long for a network; None stands for no limit."""
    if max_length is not None and limit is not None and max_length > limit:
        raise InputError(f"max_length {max_length} is more than the network's limit of {limit}")


def require_vocabulary(known: int, needed: int, exactly: bool = False) -> None:
    """Raises InputError if a tokenizer has ids that the network does not know.

    Args:
        known: the vocabulary size of the network's body or head.
        needed: the tokenizer's.
        exactly: whether they must be equal, as for a head that draws ids for the tokenizer to decode.
    """
    if needed > known or (exactly and needed != known):
        raise InputError(
            f"the network has a vocabulary of {known} and the tokenizer one of {needed}: give the tokenizer with which "
            "the network was trained"
        )


class NotedTexts(NamedTuple):
    """What is noted of the texts of a task that answers whole texts.

    Attributes:
        texts: notes of the texts.
        whole_lengths: int32 [N], the number of ids of each text before long texts are cut.
        targets: [N, …], the right answers.
    """

    texts: TextNotes
    whole_lengths: np.ndarray
    targets: np.ndarray

    @classmethod
    def of(cls, examples: EncodedExamples, targets: np.ndarray) -> "NotedTexts | None":
        """What is noted of encoded examples; None where nothing is."""
        return examples.notes and cls(examples.notes, examples.whole_lengths, targets)


class NotedStream(NamedTuple):
    """What is noted of the running text of a language model.

    Attributes:
        texts: notes of the texts; of tokens in shards, those of the first shard.
        tokens: number of tokens of the whole corpus.
        window: number of tokens in a window.
        different: how many different tokens there are among the first ones.
    """

    texts: TextNotes
    tokens: int
    window: int
    different: int

    @classmethod
    def of(cls, stream: TokenStream | TokenShards, window: int) -> "NotedStream | None":
        """What is noted of a stream of ids, or of the first shard of many; None where nothing is."""
        notes, ids, tokens = noted_of(stream)
        special = [id for id in stream.frame if id is not None]
        return notes and cls(notes, tokens, window=window, different=len(np.setdiff1d(ids, special)))


def unigram_loss(train: np.ndarray, judged: np.ndarray) -> dict[str, float]:
    """The mean loss, in nats, of giving each token of a text the share that it has of other tokens.

    Args:
        train: int [N], many of the tokens to learn from.
        judged: int [M], the tokens that are judged.
    """
    # 1 more for each, since a token may be new
    counts = 1 + np.bincount(train, minlength=int(judged.max()) + 1)
    return {"loss": float(-np.log(counts / counts.sum())[judged].mean())}


def findings_of_texts(train: TextNotes, held_out: TextNotes | None) -> Iterator[str]:
    """What is odd about texts of any task: duplicates, blank texts and unknown tokens."""
    yield from _blank(train, held_out)
    yield from _unknown(train, held_out)
    digests = train.digests
    repeated = len(digests) - len(np.unique(digests))
    if repeated > _MANY_DUPLICATES * len(digests):
        yield f"{_share(repeated, len(digests), 'training texts')} repeat another one: remove what is there by mistake"


def findings_of_answers(train: NotedTexts, held_out: NotedTexts | None, answer: str) -> Iterator[str]:
    """What is odd about texts with answers: contradictions, texts in both parts, a validation part that is too small.

    Args:
        train: the training part.
        held_out: the validation part, or None.
        answer: what an answer is called, such as "label".
    """
    texts, answers = _with_answers(train)
    distinct, several = np.unique(np.unique(np.stack([texts, answers]), axis=1)[0], return_counts=True)
    contradictory = int(np.sum(several > 1))
    if contradictory:
        yield f"{_share(contradictory, len(distinct), 'different training texts')} have more than one {answer}"
    if held_out is None:
        return
    judged, judged_answers = _with_answers(held_out)
    both = np.isin(judged, distinct)
    if both.any():
        again = np.isin(texts, judged[both])
        known = set(zip(texts[again].tolist(), answers[again].tolist(), strict=True))
        pairs = zip(judged[both].tolist(), judged_answers[both].tolist(), strict=True)
        others = sum(pair not in known for pair in pairs)
        yield _in_both(int(both.sum()), len(judged), f", {others} of them with another {answer}" if others else "")
    error = 0.5 / math.sqrt(held_out.texts.texts)
    if error > _LARGEST_ERROR_OF_SHARES:
        needed = math.ceil((0.5 / _LARGEST_ERROR_OF_SHARES) ** 2)
        yield (
            f"the validation part has {held_out.texts.texts} texts: a share of so few, such as accuracy, has a "
            f"standard error of up to {error:.2f}, too much to choose by; {needed} texts or more would do"
        )


def findings_of_lengths(train: NotedTexts, max_length: int, limit: int | None) -> Iterator[str]:
    """Whether many texts are cut, and which max_length would hold nearly all of them.

    Args:
        train: the training part.
        max_length: the most ids that the network sees of a text.
        limit: the most ids that it can look at; None for no limit.
    """
    cut = int(np.sum(train.whole_lengths > max_length))
    if cut <= _MANY_CUT * len(train.whole_lengths):
        return
    enough = int(np.sort(train.whole_lengths)[math.ceil(0.95 * len(train.whole_lengths)) - 1])
    if limit is None or enough <= limit:
        advice = f"max_length {enough} would hold 95 % of them"
    else:
        advice = f"95 % of them have up to {enough}, and the network reads {limit}: long_texts chooses what is kept"
    some = _share(cut, len(train.whole_lengths), "training texts")
    yield f"{some} have more than {max_length} tokens and are cut: {advice}"


def findings_of_labels(counts: Mapping[str, int], texts: int, metric: str) -> Iterator[str]:
    """Labels with one example, and a label that most examples have.

    Args:
        counts: the number of training examples with each label.
        texts: the number of training examples, each of which may have several labels or none.
        metric: what is usually watched, such as "accuracy".
    """
    single = [repr(label) for label, count in counts.items() if count == 1]
    if single:
        more = f" and {len(single) - 5} more" if len(single) > 5 else ""
        yield f"one training example alone has the label {', '.join(single[:5])}{more}: give more, or merge labels"
    label, most = max(counts.items(), key=lambda item: item[1])
    if most > _UNBALANCED * texts:
        yield (
            f"{_share(most, texts, 'training examples')} have the label {label!r}, so that {metric} says little: look "
            "at macro_f1 (monitor val_macro_f1), or try class_weights balanced"
        )


def findings_of_streams(train: NotedStream, held_out: NotedStream | None) -> Iterator[str]:
    """What is odd about running text: too little of it, or always the same.

    Args:
        train: the training part.
        held_out: the validation part, or None.
    """
    if train.different <= 1:
        yield "the training text is one token over and over: there is nothing to learn in it"
    elif train.tokens < _FEWEST_WINDOWS * train.window:
        yield (
            f"the training text has {train.tokens} tokens, fewer than {_FEWEST_WINDOWS} windows of {train.window}: a "
            "network learns so little by heart"
        )
    yield from findings_of_texts(train.texts, held_out and held_out.texts)
    if held_out is None:
        return
    both = int(np.isin(held_out.texts.digests, train.texts.digests).sum())
    if both:
        yield _in_both(both, len(held_out.texts.digests), "")
    error = _SPREAD_OF_LOSSES / math.sqrt(max(1, held_out.tokens))
    if error > _LARGEST_ERROR_OF_LOSSES:
        needed = math.ceil((_SPREAD_OF_LOSSES / _LARGEST_ERROR_OF_LOSSES) ** 2)
        yield (
            f"the validation part has {held_out.tokens} tokens: a mean loss of so few has a standard error of about "
            f"{error:.2f} nats, too much to choose by; {needed} tokens or more would do"
        )


def _blank(train: TextNotes, held_out: TextNotes | None) -> Iterator[str]:
    for part, notes in (("training", train), ("validation", held_out)):
        if notes is not None and notes.blank:
            some = _share(len(notes.blank), notes.texts, f"{part} texts")
            yield f"{some} are empty, the first is number {notes.blank[0] + 1}: leave them out"


def _unknown(train: TextNotes, held_out: TextNotes | None) -> Iterator[str]:
    parts = [("training", train), *([] if held_out is None else [("validation", held_out)])]
    shares = {part: notes.unknown_tokens / max(1, notes.tokens) for part, notes in parts}
    if max(shares.values()) > _MANY_UNKNOWN:
        found = " and ".join(f"{share:.0%} of the {part} tokens" for part, share in shares.items())
        yield f"{found} are unknown to the tokenizer: a larger vocabulary_size, byte_pair or characters know more"


def _with_answers(noted: NotedTexts) -> tuple[np.ndarray, np.ndarray]:
    """The digests of texts, and a digest of each one's answer, int64 both; of the texts that have a digest."""
    texts = noted.texts.digests
    answers = np.ascontiguousarray(noted.targets[: len(texts)]).reshape(len(texts), -1)
    return texts, np.array([hash(answer.tobytes()) for answer in answers], np.int64)


def _in_both(both: int, of: int, others: str) -> str:
    return (
        f"{_share(both, of, 'validation texts')} stand in the training part too{others}: values on them are too good. "
        "If the validation part was taken from the corpus, these are duplicates in the corpus; remove them"
    )


def _share(some: int, of: int, what: str) -> str:
    """Such as "12 of 1000 training texts (1.2%)"."""
    return f"{some} of {of} {what} ({some / of:.1%})"
