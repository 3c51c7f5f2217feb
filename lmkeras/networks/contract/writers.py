"""The contracts of bodies that write: that go on with a text, or that write a target for a source.

Shape letters: B batch, T tokens, D width of a token's state; M sources, S tokens of a source, N rows of targets.
"""

from collections.abc import Mapping

import tensorflow as tf
from keras import ops

from lmkeras.networks.contract.body_and_head import Body


class Writer(Body):
    """A body that reads from the start of a text: the state of a token depends only on it and the tokens before it.

    Beside what every body must have, a writer must have `tie_embeddings`, `initial_state` and `step`; `replace_rows` if
    it has a `context_length` and is not recurrent; `with_rows`, if its state has tensors without a row for each text;
    and a `summary` of its own, if a head is to read it: the mean of all states needs a mask, which inputs of a writer
    need not have.

    Attributes:
        tie_embeddings: whether the embedding, transposed, is also the last matrix of a language model. If so, the
            embedding has a matrix `embeddings` [V, D], as Keras' own have.
        context_length: the most tokens that one pass can look at; None if there is no limit.
        recurrent: whether the state after a text is all that later tokens need, and has the same size for every text.
            Then scoring carries the state from piece to piece, and generation needs no cache that grows with the text.
        steps_with_xla: whether single steps compiled by XLA were measured to be faster on CPUs.
        published_dtype: the precision in which an export keeps the weights; None for that in which they are held.
        training_length: tokens in a training window if the user sets no other length.
    """

    tie_embeddings: bool
    context_length: int | None = None
    recurrent: bool = False
    steps_with_xla: bool = False
    published_dtype: str | None = None

    @property
    def training_length(self) -> int | None:
        """Tokens in a training window if the user sets no other length."""
        return self.context_length

    def inputs(self, inputs) -> Mapping:
        """Inputs by name. They need no mask: padding comes after a text, and no token looks at what comes after it."""
        return inputs if isinstance(inputs, Mapping) else {"input_ids": inputs}

    def initial_state(self, rows, max_length=None):
        """The state before the first token.

        Args:
            rows: B, number of texts.
            max_length: the most tokens that will be read of each; None for context_length.

        Returns:
            A nested dictionary of tensors; its entry "positions", int32 [B], is the number of tokens read in each row.
        """
        raise NotImplementedError

    def step(self, ids, state, mask=None):
        """The states of the next tokens, given the state that the tokens before them left.

        Args:
            ids: int32 [B, T], the next T tokens (1 while generating, more to read prompts at once).
            state: what `initial_state` or an earlier step returned.
            mask: bool [B, T], False for filler. Texts of different lengths that are read together end in the same
                column, so filler may stand only before a row's first token. None if there is no filler.

        Returns:
            (states [B, T, D], the new state). The states of a row equal those of one full pass over its own tokens;
            states of filler have no meaning.
        """
        raise NotImplementedError

    def replace_rows(self, state, rows, other):
        """A state in which some rows are those of another state; only for bodies with a `context_length`.

        Args:
            state: of B rows.
            rows: int32 [N], which of them to replace.
            other: the state of N rows that take their places, of the same max_length as `state`.

        Returns:
            A state of B rows.
        """
        raise NotImplementedError

    def with_rows(self, state, rows):
        """A state of other rows, as beam search needs it: row i is row rows[i] of before.

        By default, for a state in which every tensor has a row for each text.

        Args:
            state: of B rows.
            rows: int32 [N], which rows go on; a row may go on several times, or not at all.

        Returns:
            A state of N rows.
        """
        return tf.nest.map_structure(lambda tensor: tf.gather(tensor, rows), state)


class EncoderDecoder(Body):
    """A body that reads a source and writes a target: the state of a target's token depends on it, on the tokens of the
    target before it, and on the whole source.

    Inputs by name are those of every body for the source, input_ids and attention_mask, and target_ids, int32 [B, T],
    for the target: the id with which targets start, then the target's tokens, then padding.

    Beside what every body must have, an encoder-decoder must have `tie_embeddings`, `begin_targets`, `step` and
    `with_rows`. What has to do with a summary is left out: heads read states.

    Attributes:
        max_length: the most tokens of a source; None if there is no limit.
        max_target_length: the most tokens of a target, the starting id counted; None if there is no limit.
        tie_embeddings: as for a writer.
        recurrent: whether the state after a target has the same size for every target.
        steps_with_xla: as for a writer.
    """

    tie_embeddings: bool
    max_target_length: int | None = None
    recurrent: bool = False
    steps_with_xla: bool = False

    def inputs(self, inputs) -> Mapping:
        """Inputs by name, as for every body; ids alone are a source. An empty source counts as one token."""
        inputs = super().inputs(inputs)
        mask = inputs["attention_mask"]
        # so that attention to an empty source does not depend on how much padding there is
        return {**inputs, "attention_mask": ops.logical_or(mask, ops.arange(ops.shape(mask)[1]) == 0)}

    def begin_targets(self, inputs: Mapping, max_length=None):
        """Reads the sources, once, and returns the state before the first token of their targets.

        Args:
            inputs: by name, which the method `inputs` gives; target_ids are not needed.
            max_length: the most tokens that will be read of each target; None for max_target_length.

        Returns:
            A nested dictionary of tensors, with one row for each source; its entry "positions", int32 [M], is the
            number of tokens read of each target.
        """
        raise NotImplementedError

    def step(self, ids, state):
        """The states of the targets' next tokens, given the state that the tokens before them left.

        Args:
            ids: int32 [N, T], the next T tokens. All rows have read the same number of tokens before.
            state: what `begin_targets`, `with_rows` or an earlier step returned.

        Returns:
            (states [N, T, D], the new state). The states of a row equal those of one full pass over its source and
            its target.
        """
        raise NotImplementedError

    def with_rows(self, state, rows, sources=None):
        """A state of other rows: row i is row rows[i] of before. What belongs to a source is never copied for its rows.

        Args:
            state: of any number of rows.
            rows: int32 [N], where N is a multiple of the number of sources that stay. The rows of a source stand
                together, in the order of the sources: with three rows each, the first three are of the first source.
            sources: int32 [M], the sources that stay, of those that the state has; None for all.

        Returns:
            A state of N rows.
        """
        raise NotImplementedError
