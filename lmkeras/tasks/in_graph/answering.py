"""Question answering as a SavedModel runs it: windows, network and choice of the answer in TensorFlow's operations.

Shape letters: B batch, W windows of all questions, T tokens of a window, A the most tokens of an answer.
"""

from typing import NamedTuple

import tensorflow as tf

from lmkeras.tokenizers.in_graph.code_points import white_space

_RULED_OUT = -1e9  # a score of what cannot be answered
_ALL = 2**30


class Windows(NamedTuple):
    """The windows of all questions, int32 [W] each but `ids`; see `datasets.question_windows`.

    Attributes:
        question_of: the number of the question.
        ids: int32 [W, T].
        heads: how many ids stand before the piece of the context.
        begins, ends: the piece, in tokens of the context.
        low, high: a span of tokens i to j is answered with by the window with low <= i + j < high.
    """

    question_of: tf.Tensor
    ids: tf.Tensor
    heads: tf.Tensor
    begins: tf.Tensor
    ends: tf.Tensor
    low: tf.Tensor
    high: tf.Tensor


class ExportedAnswering(tf.Module):
    """Tokenizer, windows, network and answers in one graph.

    Args:
        task: an Answering.
        network: a trained network.
        tokenizer: the tokenizer, whose `in_graph()` is used.
        dtype: precision of matrix products, see `Network.exported`.

    Raises:
        InputError: the tokenizer has no form in the graph, or the network cannot be exported in this precision.
    """

    def __init__(self, task, network, tokenizer, dtype: str):
        super().__init__()
        self.tokenizer = tokenizer.in_graph()
        self._task, self._layout, self._blank = task, task.layout(network, tokenizer), white_space()
        self._token_types = network.body.takes_token_types
        self._outputs, self.weights = network.exported(dtype)
        signature = [tf.TensorSpec([None], tf.string, name) for name in ("question", "context")]
        self.answer = tf.function(self._answer, autograph=False, input_signature=signature)

    def _answer(self, question, context):
        """answer, a string; start and end, int32, in code points of the context; probability, float32; all [B]."""
        count = tf.size(question)
        # if there are no questions, one is added, because some operations fail without any
        none = tf.fill([tf.cast(count == 0, tf.int32)], "?")
        question, context = (tf.concat([texts, none], axis=0) for texts in (question, context))
        tokens, starts, ends = self.tokenizer.encode_with_offsets(context)
        windows = self._windows(self.tokenizer.encode(question), tokens)
        first, last, probability, nothing = self._best(windows)
        rows = tf.cast(tokens.row_starts(), tf.int32)
        # a context without tokens has no place to look up; one more place stands for it
        start = tf.gather(tf.concat([starts.flat_values, [0]], axis=0), tf.where(nothing, 0, rows + first))
        end = tf.gather(tf.concat([ends.flat_values, [0]], axis=0), tf.where(nothing, 0, rows + last))
        start, end = self._within(context, tf.where(nothing, 0, start), tf.where(nothing, 0, end))
        answer = tf.strings.substr(context, start, end - start, unit="UTF8_CHAR")
        found = {"answer": answer, "start": start, "end": end, "probability": probability}
        return {name: tensor[:count] for name, tensor in found.items()}

    def _within(self, context: tf.Tensor, start: tf.Tensor, end: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Parts of contexts [B] without white space around them, or all of those that are nothing else; int32 [B]."""
        codes = tf.strings.unicode_decode(context, "UTF-8")
        rows = tf.cast(codes.row_starts(), tf.int32)
        ink = tf.cast(tf.where(self._blank(codes.flat_values) == 0)[:, 0], tf.int32)
        first, behind = tf.searchsorted(ink, rows + start), tf.searchsorted(ink, rows + end)  # among those with ink
        places = tf.concat([ink, [0]], axis=0)
        found = first < behind
        inner = tf.gather(places, first) - rows, tf.gather(places, tf.maximum(behind - 1, 0)) - rows + 1
        return tf.where(found, inner[0], start), tf.where(found, inner[1], end)

    def _windows(self, questions: tf.RaggedTensor, contexts: tf.RaggedTensor) -> Windows:
        """The windows of questions and contexts, int32 ids [B, tokens] both."""
        layout = self._layout
        asked, tokens = (tf.cast(one.row_lengths(), tf.int32) for one in (questions, contexts))
        room = layout.max_length - asked - layout.special_ids
        too_long = f"a question is too long for windows of {layout.max_length} tokens"
        with tf.control_dependencies([tf.debugging.assert_greater_equal(room, layout.least_room, too_long)]):
            room = tf.identity(room)
        step = tf.minimum(layout.doc_stride, room - tf.minimum(layout.max_answer_tokens, room // 2))
        numbers = tf.ragged.range(1 + tf.maximum(0, (tokens - room + step - 1) // step))
        of, number = tf.cast(numbers.value_rowids(), tf.int32), numbers.flat_values
        step, room, tokens, asked = (tf.gather(one, of) for one in (step, room, tokens, asked))
        begins = number * step
        ends = tf.minimum(begins + room, tokens)
        before, after = tf.roll(ends, 1, 0), tf.roll(begins, -1, 0)
        low = tf.where(number == 0, -_ALL, begins + before)
        high = tf.where(ends == tokens, _ALL, after + ends)
        heads = 1 + asked + layout.separators
        place = tf.range(tf.reduce_max(heads + ends - begins + 1))[None]
        asked, head, size = asked[:, None], heads[:, None], (ends - begins)[:, None]
        ids = tf.where(place == 0, layout.first, layout.separator)
        ids = tf.where((place > 0) & (place <= asked), _at(questions, of, place - 1), ids)
        inside = (head <= place) & (place < head + size)
        ids = tf.where(inside, _at(contexts, of, begins[:, None] + place - head), ids)
        ids = tf.where(place > head + size, layout.filler, ids)
        return Windows(of, ids, heads, begins=begins, ends=ends, low=low, high=high)

    def _best(self, windows: Windows) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]:
        """First and last token, int32, probability, float32, and whether there is no answer; [B] all."""
        of, size = windows.question_of, self._task.max_answer_tokens
        place = tf.range(tf.shape(windows.ids)[1])[None]
        mask = tf.cast(place < (windows.heads + windows.ends - windows.begins + 1)[:, None], tf.int32)
        inputs = {"input_ids": windows.ids, "attention_mask": mask}
        if self._token_types:
            inputs["token_type_ids"] = tf.cast(place >= windows.heads[:, None], tf.int32) * mask
        scores = tf.nn.log_softmax(self._outputs(inputs), axis=1)
        first = windows.begins[:, None] + place - windows.heads[:, None]  # tokens of the context, [W, T]
        first = first[:, :, None]
        last = first + tf.range(size)
        ends = tf.pad(scores[:, :, 1], [[0, 0], [0, size]], constant_values=_RULED_OUT)
        ends = tf.gather(ends, (place[0][:, None] + tf.range(size)), axis=1)  # [W, T, A]
        begins, stops, low, high = (
            one[:, None, None] for one in (windows.begins, windows.ends, windows.low, windows.high)
        )
        allowed = (first >= begins) & (last < stops) & (low <= first + last) & (first + last < high)
        spans = tf.where(allowed, scores[:, :, 0, None] + ends, _RULED_OUT)
        flat = tf.reshape(spans, [tf.shape(spans)[0], -1])
        best, at = tf.reduce_max(flat, axis=1), tf.argmax(flat, axis=1, output_type=tf.int32)
        first = windows.begins + at // size - windows.heads
        of_question = tf.math.segment_max(best, of)
        # the first of the windows with the best span of their question
        number = tf.range(tf.size(of))
        chosen = tf.math.segment_min(tf.where(best == tf.gather(of_question, of), number, tf.size(of)), of)
        first, last = tf.gather(first, chosen), tf.gather(first + at % size, chosen)
        nothing = tf.math.segment_min(scores[:, 0, 0] + scores[:, 0, 1], of)
        none = of_question <= _RULED_OUT / 2
        nothing = nothing if self._task.unanswerable else tf.where(none, nothing, _RULED_OUT)
        inside = tf.math.segment_sum(
            tf.reduce_sum(
                tf.exp(spans - tf.gather(of_question, of)[:, None, None]) * tf.cast(allowed, tf.float32), [1, 2]
            ),
            of,
        )
        spans_total = tf.where(none, _RULED_OUT, of_question + tf.math.log(tf.maximum(inside, 1e-30)))
        total = tf.reduce_logsumexp(tf.stack([spans_total, nothing]), axis=0)
        given_none = none | (nothing - of_question > self._task.no_answer_threshold)
        score = tf.where(given_none, nothing, of_question)
        return first, last, tf.exp(score - total), given_none


def _at(ids: tf.RaggedTensor, rows: tf.Tensor, places: tf.Tensor) -> tf.Tensor:
    """The ids at places [W, T] of the rows [W]; anything where a row has no such place."""
    flat = tf.concat([ids.flat_values, [0]], axis=0)
    at = tf.gather(tf.cast(ids.row_starts(), tf.int32), rows)[:, None] + places
    return tf.gather(flat, tf.clip_by_value(at, 0, tf.size(flat) - 1))
