"""From ids of texts to BERT's inputs: special tokens around one text or two, cut to a length, padded."""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from lmkeras.errors import InputError, unknown_name
from lmkeras.tokenizers.special import SpecialIds

_LONGEST, _FIXED = "longest", "max_length"
_PADDINGS = {False: None, "do_not_pad": None, True: _LONGEST, _LONGEST: _LONGEST, _FIXED: _FIXED}
_TRUNCATIONS = {None: None, False: False, "do_not_truncate": False, True: True, "longest_first": True}
_TENSORS = {None: None, "np": "np", "tf": "tf"}


class Plan(NamedTuple):
    """How sequences are cut and padded.

    Attributes:
        cut_to: the most ids of a sequence; None to cut nothing.
        fill_to: the least number of places of a row; None for the length of the longest row.
    """

    cut_to: int | None
    fill_to: int | None


def plan(
    padding: bool | str, truncation: bool | str | None, max_length: int | None, model_max_length: int | None
) -> Plan:
    """What `padding`, `truncation` and `max_length` of Hugging Face's tokenizers mean together.

    Raises:
        InputError: an unknown value, or cutting or padding to a length that neither max_length nor model_max_length
            gives.
    """
    padding, truncation = _choice("padding", padding, _PADDINGS), _choice("truncation", truncation, _TRUNCATIONS)
    if max_length is not None and (type(max_length) is not int or max_length < 0):
        raise InputError(f"max_length must be a number of tokens, not {max_length!r}")
    if truncation is None:
        truncation = max_length is not None and padding is None
    length = model_max_length if max_length is None else max_length
    if length is None and (truncation or padding == _FIXED):
        raise InputError("there is no length to cut or to pad to: give max_length")
    return Plan(length if truncation else None, {None: 0, _LONGEST: None, _FIXED: length}[padding])


def batched(texts: str | Iterable[str], pairs: str | Iterable[str] | None) -> tuple[list[str], list[str] | None]:
    """Texts and the second texts of their pairs as lists of one length.

    As with Hugging Face's tokenizers, an empty second text of a single text counts as no second text.

    Raises:
        InputError: something that is no text, or another number of second texts than of texts.
    """
    if isinstance(texts, str):
        texts, pairs = [texts], [pairs] if pairs else None
    columns = [column for column in (texts, pairs) if column is not None]
    if texts is None or not all(isinstance(column, Iterable) and not isinstance(column, str) for column in columns):
        raise InputError("texts and pairs must both be one text or both be lists of texts")
    columns = [list(column) for column in columns]
    if not all(isinstance(text, str) for column in columns for text in column):
        raise InputError("texts and pairs must both be one text or both be lists of texts")
    if len({len(column) for column in columns}) > 1:
        raise InputError(f"every text needs its partner: {len(columns[0])} texts came with {len(columns[1])} pairs")
    return columns[0], columns[1] if len(columns) > 1 else None


def pair_lengths(first, second, budget, minimum, maximum):
    """How many ids of each text of a pair are kept: the longer loses ids until both are of one length, then both do.

    Args:
        first: number of ids of the first text; integers or integer tensors.
        second: that of the second.
        budget: how many ids there is room for. If both texts are cut and the budget is odd, the longer text keeps one
            id more than the other; of two texts of one length, the second does.
        minimum: the smaller of two, for the kind of number given.
        maximum: the larger of two.

    Returns:
        (how many ids of the first text are kept, how many of the second), together at most the budget.

    Source: "longest_first" of the `tokenizers` library. Devlin et al.'s own code, which takes one id at a time from the
        longer text, leaves the odd id to the first text if both are cut.

    Example:
        >>> pair_lengths(9, 2, budget=6, minimum=min, maximum=max)
        (4, 2)
        >>> pair_lengths(9, 9, budget=7, minimum=min, maximum=max)
        (3, 4)
    """
    half = budget // 2 + minimum(maximum(first - second, 0), budget % 2)
    return minimum(first, maximum(budget - second, half)), minimum(second, maximum(budget - first, budget - half))


def room_for_text(max_length: int, pair: bool, special: SpecialIds) -> int:
    """How many ids of texts fit into max_length beside the special tokens of one text or two.

    Raises:
        InputError: max_length does not even hold the special tokens.
    """
    around = special.around(pair)
    if max_length < around:
        texts = "two texts" if pair else "one text"
        raise InputError(f"max_length must be at least {around}, the special tokens of {texts}, not {max_length}")
    return max_length - around


def cut_to(
    a_ids: Sequence[int], b_ids: Sequence[int] | None, max_length: int | None, special: SpecialIds
) -> tuple[Sequence[int], Sequence[int] | None]:
    """The ids of one text or two that fit beside the special tokens; the longer text loses ids first, from its end.

    Args:
        a_ids: ids of a text.
        b_ids: ids of a second text; None where there is none.
        max_length: the most ids of the whole sequence, special ones included; None for no such length.
        special: the tokenizer's special ids.

    Raises:
        InputError: max_length does not even hold the special tokens.

    Example:
        >>> cut_to([5, 6, 7], [8], max_length=6, special=SpecialIds())
        ([5, 6], [8])
    """
    if max_length is None:
        return a_ids, b_ids
    room = room_for_text(max_length, pair=b_ids is not None, special=special)
    a_length, b_length = pair_lengths(
        len(a_ids), 0 if b_ids is None else len(b_ids), budget=room, minimum=min, maximum=max
    )
    return a_ids[:a_length], None if b_ids is None else b_ids[:b_length]


def collate(
    rows: Sequence[tuple[list[int], list[int]]],
    fill_to: int | None,
    return_tensors: str | None,
    *,
    padding: int = 0,
    token_types: bool = True,
) -> dict[str, Any]:
    """A batch under the names that Hugging Face's BERT has for its inputs.

    Args:
        rows: for each sequence its ids and its token types.
        fill_to: rows are filled up to this many places; longer ones stay as they are. None for the length of the
            longest row.
        return_tensors: None for lists, "np" for int64 arrays, "tf" for int32 tensors.
        padding: the id that fills up input_ids.
        token_types: whether there are token_type_ids.

    Returns:
        input_ids, perhaps token_type_ids, and attention_mask (1 at a token, 0 at padding), each [B, T].

    Raises:
        InputError: an unknown return_tensors, or arrays of rows that differ in length.
    """
    return_tensors = _choice("return_tensors", return_tensors, _TENSORS)
    width = max((len(ids) for ids, _ in rows), default=0) if fill_to is None else fill_to
    batch = {"input_ids": [], "token_type_ids": [], "attention_mask": []}
    for ids, types in rows:
        missing = width - len(ids)
        batch["input_ids"].append(ids + [padding] * missing)
        batch["token_type_ids"].append(types + [0] * missing)
        batch["attention_mask"].append([1] * len(ids) + [0] * missing)
    if not token_types:
        del batch["token_type_ids"]
    if return_tensors is None:
        return batch
    if len({len(ids) for ids in batch["input_ids"]}) > 1:
        raise InputError("rows of different lengths make no tensor: give padding=True, and truncation with max_length")
    return {name: _tensor(values, return_tensors) for name, values in batch.items()}


class BertInputs:
    """What a tokenizer of BERT's kind has beside ids: the inputs of one text or two, with special tokens.

    The class that has it is a BaseTokenizer with ids for classification and separator.

    Attributes:
        model_max_length: the number of tokens that `truncation=True` cuts to if no max_length is given; None for no
            such length.
        gives_token_types: whether the inputs have token_type_ids.
    """

    special: SpecialIds
    model_max_length: int | None = None
    gives_token_types: bool = True

    def assemble(
        self, a_ids: Sequence[int], b_ids: Sequence[int] | None = None, max_length: int | None = None
    ) -> tuple[list[int], list[int]]:
        """The inputs for one text or two: [CLS] a [SEP], or [CLS] a [SEP] b [SEP], with two [SEP] inside for RoBERTa.

        Args:
            a_ids: ids of a text.
            b_ids: ids of a second text; None where there is none.
            max_length: the most ids of the result, special ones included. If there are more, the longer text loses ids
                from its end until both are of one length; then both do. None keeps all ids.

        Returns:
            The ids, and a token type for each: 0 up to the text b, 1 from there on.

        Raises:
            InputError: max_length does not even hold the special tokens.
        """
        special = self.special
        a_ids, b_ids = cut_to(a_ids, b_ids, max_length=max_length, special=special)
        end = [special.separator]
        first = [special.classification, *a_ids, *end * (1 if b_ids is None else special.separators)]
        second = [] if b_ids is None else [*b_ids, *end]
        return first + second, [0] * len(first) + [1] * len(second)

    def __call__(
        self,
        texts: str | Sequence[str],
        pairs: str | Sequence[str] | None = None,
        padding: bool | str = False,
        truncation: bool | str | None = None,
        max_length: int | None = None,
        return_tensors: str | None = None,
    ) -> dict[str, Any]:
        """The inputs for texts or pairs of texts, as Hugging Face's tokenizer returns them.

        Args:
            texts: texts, or one text.
            pairs: the second text of each, or None.
            padding: True fills up to the longest of the batch, "max_length" to max_length; False does not fill up.
            truncation: True cuts to max_length tokens, the longer text of a pair first; False does not cut; None cuts
                if max_length is given and padding is False.
            max_length: in tokens, special ones included; None for model_max_length.
            return_tensors: None for lists, "np" for int64 arrays, "tf" for int32 tensors.

        Returns:
            input_ids, attention_mask and, for BERT, token_type_ids, [B, T] each; lists of one text's are [T].

        Raises:
            InputError: an argument has none of these values, or two arguments contradict each other.
        """
        single = isinstance(texts, str)
        texts, pairs = batched(texts, pairs)
        how_long = plan(padding, truncation, max_length, model_max_length=self.model_max_length)
        seconds = [None] * len(texts) if pairs is None else self.encode_batch(pairs)
        rows = [
            self.assemble(first, second, how_long.cut_to)
            for first, second in zip(self.encode_batch(texts), seconds, strict=True)
        ]
        how = {"padding": self.special.filler, "token_types": self.gives_token_types}
        batch = collate(rows, how_long.fill_to, return_tensors, **how)
        return {name: values[0] for name, values in batch.items()} if single and return_tensors is None else batch


def _choice(kind: str, value: object, choices: dict) -> Any:
    if value not in list(choices):  # a list, because the user's value may be unhashable
        raise unknown_name(kind, value, map(str, choices))
    return choices[value]


def _tensor(values: list[list[int]], kind: str) -> Any:
    import numpy as np

    array = np.array(values, np.int64).reshape(len(values), -1 if values else 0)
    if kind == "np":
        return array
    import tensorflow as tf

    return tf.constant(array, tf.int32)
