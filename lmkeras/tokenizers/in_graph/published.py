"""The twin of PublishedTokenizer."""

import functools
import re
import sys
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import tensorflow as tf
import tokenizers

from lmkeras.tokenizers.in_graph.added_tokens import AddedTokensInGraph
from lmkeras.tokenizers.in_graph.barriers import (
    CUT,
    END,
    Characters,
    begins_of_runs,
    inserted,
    opened,
)
from lmkeras.tokenizers.in_graph.code_points import white_space
from lmkeras.tokenizers.in_graph.composing import CompositionInGraph
from lmkeras.tokenizers.in_graph.matching import PatternInGraph
from lmkeras.tokenizers.in_graph.pieces import PiecesInGraph, Slots, Symbols
from lmkeras.tokenizers.in_graph.whole_characters import whole_characters
from lmkeras.tokenizers.pipeline import Compose, Pipeline, Prepend, Replace, Split, pipeline_of
from lmkeras.tokenizers.published_tables import (
    Added,
    added_by_text,
    byte_ids,
    character_ids,
    cuts_of,
    merges_of,
    whole_pieces,
)


class InGraphPublished(tf.Module):
    """A published tokenizer's text to ids and back.

    Args:
        pipeline: the steps from text to pieces.
        pieces: makes ids of pieces.
        added: the added tokens that are looked for in texts as they are, and in normalized ones.
        token_bytes: what each id stands for, from 0 on; no bytes for special ones.
        trims_offsets: whether offsets leave out the white space with which a piece begins.

    Raises:
        InputError: a step has no twin.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        pieces: PiecesInGraph,
        added: Sequence[Mapping[str, Added]],
        token_bytes: Sequence[bytes],
        trims_offsets: bool = False,
    ):
        super().__init__()
        self._pieces, self._spelling = pieces, pipeline.spelling
        raw, normalized = (
            [AddedTokensInGraph(tokens)] if any(one.id is not None for one in tokens.values()) else []
            for tokens in added
        )
        normalize, split = ([_in_graph(step) for step in steps] for steps in (pipeline.normalize, pipeline.split))
        steps = [*raw, *normalize, *normalized, *split]
        self._stepped = functools.partial(_stepped, steps)
        self._tables = [step for step in steps if isinstance(step, tf.Module)]  # so that saving finds them
        self._token_bytes = tf.constant([*token_bytes], tf.string)
        self._blank = white_space() if trims_offsets else None

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
    def encode(self, texts: tf.Tensor) -> tf.RaggedTensor:
        """The ids of each text, int32 [B, tokens]."""
        with tf.device("CPU"):  # where strings and tables are
            slots, _ = self._slots(opened(texts)[0])
            return slots.ids()

    def encode_with_offsets(self, texts: tf.Tensor) -> tuple[tf.RaggedTensor, tf.RaggedTensor, tf.RaggedTensor]:
        """The ids of each text, and the starts and ends of the characters that they stand for; int32 [B, tokens]."""
        with tf.device("CPU"):
            given, begins = opened(texts)
            slots, characters = self._slots(given)
            ids, (first, last) = slots.ids(), slots.places()
            first, last = tf.gather(characters.origins, first), tf.gather(characters.origins, last)
            first = self._trimmed(given.codes, first, last)
            text_begins = tf.gather(begins, tf.cast(ids.value_rowids(), tf.int32))
            return ids, ids.with_flat_values(first - text_begins), ids.with_flat_values(last - text_begins + 1)

    @tf.function(input_signature=[tf.RaggedTensorSpec([None, None], tf.int32)])
    def decode(self, ids: tf.RaggedTensor) -> tf.Tensor:
        """The text of each row of ids; what no token has, and special tokens, are skipped."""
        with tf.device("CPU"):
            return self._text_of(self._bytes_of(ids))

    @tf.function(input_signature=[tf.RaggedTensorSpec([None, None], tf.int32)])
    def decode_whole(self, ids: tf.RaggedTensor) -> tf.Tensor:
        """What `decode` gives, without a character at the end of a text of which some bytes are missing."""
        with tf.device("CPU"):
            return self._text_of(whole_characters(self._bytes_of(ids)))

    def _bytes_of(self, ids: tf.RaggedTensor) -> tf.Tensor:
        flat, size = ids.flat_values, tf.size(self._token_bytes)
        tokens = tf.gather(self._token_bytes, tf.clip_by_value(flat, 0, size - 1))
        tokens = ids.with_flat_values(tf.where((flat >= 0) & (flat < size), tokens, ""))
        return tf.strings.reduce_join(tokens, axis=-1)

    def _text_of(self, joined: tf.Tensor) -> tf.Tensor:
        texts = tf.strings.unicode_transcode(joined, "UTF-8", "UTF-8")
        if not self._spelling.most_stripped:
            return texts
        stripped = f"^(?:{re.escape(self._spelling.stripped)}){{0,{self._spelling.most_stripped}}}"
        return tf.strings.regex_replace(texts, stripped, "", replace_global=False)

    def _slots(self, characters: Characters) -> tuple[Slots, Characters]:
        """The ids of texts, and what their characters became."""
        characters, pieces = self._stepped(characters)
        return self._pieces(characters.codes, pieces), characters

    def _trimmed(self, codes: tf.Tensor, first: tf.Tensor, last: tf.Tensor) -> tf.Tensor:
        """The first characters of pieces that are no white space, or those from `first`, where all of them are."""
        if self._blank is None:
            return first
        others = tf.cast(tf.where(self._blank(codes) == 0)[:, 0], tf.int32)  # END too, so that there always is one
        found = tf.gather(others, tf.searchsorted(others, first))
        return tf.where(found <= last, found, first)


Step = Callable[[Characters], tuple[Characters, tf.Tensor | None]]


def _in_graph(step: Compose | Replace | Prepend | Split) -> Step:
    """A step as a function of characters. It gives characters and, if it cuts, where pieces begin."""
    if isinstance(step, Split):
        return functools.partial(_cut, PatternInGraph(step.pattern), step.behavior)
    if isinstance(step, Compose):
        return CompositionInGraph()
    return functools.partial(_replaced if isinstance(step, Replace) else _prepended, step)


def _stepped(steps: Sequence[Step], characters: Characters) -> tuple[Characters, tf.Tensor]:
    """The characters after all steps, and where pieces begin."""
    pieces = None  # where they begin, after a step that cuts
    for step in steps:
        if pieces is not None:
            at = pieces & ~begins_of_runs(characters.codes)
            characters = inserted(characters, at, [CUT])
        characters, pieces = step(characters)
    return characters, begins_of_runs(characters.codes) if pieces is None else pieces


def _replaced(step: Replace, characters: Characters) -> tuple[Characters, None]:
    codes = characters.codes
    return characters._replace(codes=tf.where(codes == ord(step.old), ord(step.new), codes)), None


def _prepended(step: Prepend, characters: Characters) -> tuple[Characters, None]:
    codes = characters.codes
    at = begins_of_runs(codes)
    if step.unless:
        at &= codes != ord(step.unless)
    if step.only_first:
        at &= tf.concat([[END], codes[:-1]], axis=0)[: tf.size(codes)] == END
    return inserted(characters, at, [*map(ord, step.text)]), None


def _cut(pattern: PatternInGraph, behavior: str, characters: Characters) -> tuple[Characters, tf.Tensor]:
    visited, gap, begins = pattern(characters.codes)
    before = tf.concat([[False], (visited & gap)[:-1]], axis=0)[: tf.size(gap)]  # behind a character between matches
    if behavior == "MergedWithPrevious":
        return characters, visited & (begins | ~before)
    if behavior == "MergedWithNext":
        return characters, visited & (begins | ~gap)
    if behavior == "Contiguous":
        return characters, visited & (begins | (gap != before))
    if behavior == "Kept":
        return characters._replace(codes=tf.where(visited & gap, CUT, characters.codes)), visited & ~gap
    return characters, visited & ~(gap & before)


def published_in_graph(
    tokenizer: Mapping,
    library: tokenizers.Tokenizer,
    added: Mapping[int, tokenizers.AddedToken],
    token_bytes: Callable[[], Mapping[int, bytes]],
    reads_names: bool = False,
    trims_offsets: bool = False,
) -> InGraphPublished:
    """The twin of a tokenizer.json.

    Args:
        tokenizer: its content.
        library: the library's tokenizer of the same content.
        added: its added tokens by their ids.
        token_bytes: asked what each id stands for, once it is known that there is a twin.
        reads_names: whether special tokens are found in texts where their names are written out.
        trims_offsets: see `InGraphPublished`.

    Raises:
        InputError: it has a part without a twin.
    """
    pipeline, model = pipeline_of(tokenizer), tokenizer["model"]
    tokens = added_by_text(added.items(), library.normalizer, reads_names)
    merges, by_bytes = merges_of(model), byte_ids(model, pipeline.byte_level)
    symbols, cuts = Symbols(by_bytes), None
    if not pipeline.byte_level:
        unknown = None if by_bytes else model["vocab"][model["unk_token"]]
        characters = np.full(sys.maxunicode + 1, -1, np.int32)
        for character, id in character_ids(model).items():
            characters[ord(character)] = id
        fuses = bool(model.get("fuse_unk"))
        symbols = Symbols(by_bytes, characters=characters, unknown=unknown, fuses=fuses)
        cuts = cuts_of(model, merges, [*by_bytes, unknown])
    spelled = token_bytes()
    size = max([*model["vocab"].values(), *spelled], default=0) + 1
    pieces = PiecesInGraph(whole_pieces(model, library, pipeline.byte_level), symbols, merges, size=size, cuts=cuts)
    spelled = [spelled.get(id, b"") for id in range(size)]
    return InGraphPublished(pipeline, pieces, added=tokens, token_bytes=spelled, trims_offsets=trims_offsets)
