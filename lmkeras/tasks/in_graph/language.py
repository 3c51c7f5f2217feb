"""A language model as a SavedModel runs it: prompts to texts, and texts to their probabilities.

Shape letters: B batch, T tokens.
"""

import dataclasses

import tensorflow as tf

from lmkeras.decoding.conversation import Conversations
from lmkeras.decoding.generate import GenerationLoop
from lmkeras.decoding.sampling import Chosen, Sampling, chosen
from lmkeras.decoding.score import ScoringLoop
from lmkeras.networks.kept import KeptWeights
from lmkeras.networks.network import Network
from lmkeras.tasks.in_graph.chat import in_graph_conversation
from lmkeras.tokenizers.base import BaseTokenizer

_MOST_NEW_TOKENS = 16_384


class ExportedLanguageModel(tf.Module):
    """Tokenizer, network, generation and scoring in one graph of TensorFlow's operations.

    - generate: prompt [B] and the scalars max_new_tokens, temperature, top_k, top_p, repetition_penalty, seed → text
      [B], the generated text after each prompt. At most 16,384 tokens are generated at a time, so that one request
      cannot take all the memory of a server.
    - serving_default: prompt [B] → text [B], by the model's defaults, which `LanguageModel.generate` has too.
    - chat, for models with a chat template of constant texts around contents: role [N] and content [N], the messages of
      a conversation, and the scalars of generate → text, a scalar: the answer.
    - score: text [B] → log_probability [B] in nats (float64), token_count [B], number of tokens that were scored.

    Args:
        network: a trained language network.
        tokenizer: the tokenizer, whose `in_graph()` is used.
        dtype: precision of matrix products, see `Network.exported`.
        own: the model's defaults, for `serving_default`.
        conversations: how the model reads conversations; None if it does not.

    Raises:
        InputError: the tokenizer has no form in the graph, or the network cannot be exported in this precision.
    """

    def __init__(
        self,
        network: Network,
        tokenizer: BaseTokenizer,
        dtype: str = "float32",
        own: Chosen | None = None,
        conversations: Conversations | None = None,
    ):
        super().__init__()
        self.tokenizer = tokenizer.in_graph()
        self._special, self._filler = tokenizer.special, tokenizer.special.filler
        self._own, self._limit = own or chosen(None, {}), network.body.context_length
        network.exported(dtype)  # raises InputError for a precision that the network does not have
        # the variables themselves, not the Keras objects that hold them: those would bring along the optimizer's state,
        # and TensorFlow's session loader (saved_model_cli) would not restore them
        self.weights = KeptWeights(network, network.body.published_dtype)
        how = {"weights": self.weights.converted}
        self.generation = GenerationLoop(network, tokenizer.special, compiled=False, **how)
        self.scoring = ScoringLoop(network, **how)
        scalars = [tf.TensorSpec([], tf.int32, "max_new_tokens")]
        scalars += [tf.TensorSpec([], one.dtype, name) for name, one in Sampling().tensors().items()]
        prompt = tf.TensorSpec([None], tf.string, "prompt")
        self.generate = tf.function(self._generate, autograph=False, input_signature=[prompt, *scalars])
        self.serving_default = tf.function(self._serving_default, autograph=False, input_signature=[prompt])
        text = tf.TensorSpec([None], tf.string, "text")
        self.score = tf.function(self._score, autograph=False, input_signature=[text])
        served = ["generate", "score", "serving_default"]
        self.conversation = conversations and in_graph_conversation(conversations, self.tokenizer.encode)
        if self.conversation is not None:
            messages = [tf.TensorSpec([None], tf.string, name) for name in ("role", "content")]
            self.chat = tf.function(self._chat, autograph=False, input_signature=[*messages, *scalars])
            served.append("chat")
        self.served = tuple(served)  # the names of the signatures

    def _encode(self, texts):
        """Strings [B] → (ids int32 [B, T], first the id that stands before a text if any; number of ids [B])."""
        ids = self.tokenizer.encode(texts)
        lengths, ids = tf.cast(ids.row_lengths(), tf.int32), ids.to_tensor(self._filler)
        before = self._special.before_text
        if before is None:
            return ids, lengths
        if self._special.always_before:
            return tf.pad(ids, [[0, 0], [1, 0]], constant_values=before), lengths + 1
        empty = lengths == 0
        ids = tf.pad(ids, [[0, 0], [0, 1]], constant_values=self._filler)[:, : tf.maximum(1, tf.shape(ids)[1])]
        first = tf.where(empty, before, ids[:, 0])[:, None]
        return tf.concat([first, ids[:, 1:]], axis=1), tf.maximum(lengths, 1)

    def _decode(self, ids, lengths):
        """The texts [B] of the first `lengths` [B] ids in each row of [B, T], without the id before a text."""
        first = len(self._special.before(["a token"]))
        decode = getattr(self.tokenizer, "decode_whole", self.tokenizer.decode)
        return decode(tf.RaggedTensor.from_tensor(ids, lengths)[:, first:])

    def _serving_default(self, prompt):
        most, sampling = tf.constant(self._own.max_new_tokens), self._own.sampling.tensors()
        return self._generate(prompt, most, *sampling.values())

    def _generate(self, prompt, max_new_tokens, *sampling):
        ids, lengths = self._encode(prompt)
        if self._special.before_text is None:
            refusal = "the tokenizer has no id that starts a text: give prompts that are not empty"
            with tf.control_dependencies([tf.debugging.assert_positive(lengths, refusal)]):
                ids = tf.identity(ids)
        return {"text": self._continued(ids, lengths, max_new_tokens=max_new_tokens, sampling=sampling)}

    def _chat(self, role, content, max_new_tokens, *sampling):
        ids = self.conversation.ids(role, content)
        if self._limit is not None:
            refusal = (
                f"the conversation is longer than {self._limit} tokens, what the model looks at: leave early turns out"
            )
            with tf.control_dependencies([tf.debugging.assert_less(tf.size(ids), self._limit, refusal)]):
                ids = tf.identity(ids)
        answers = self._continued(ids[None], tf.shape(ids), max_new_tokens=max_new_tokens, sampling=sampling)
        return {"text": answers[0]}

    def _continued(self, ids, lengths, max_new_tokens, sampling):
        """The new texts [B] after the first `lengths` [B] ids in each row of [B, T].

        Args:
            ids: the prompts.
            lengths: of the prompts.
            max_new_tokens: a scalar.
            sampling: scalars, the fields of Sampling in their order.
        """
        sampling = {field.name: value for field, value in zip(dataclasses.fields(Sampling), sampling, strict=True)}
        refusal = f"max_new_tokens must be from 0 to {_MOST_NEW_TOKENS}"
        in_range = (max_new_tokens >= 0) & (max_new_tokens <= _MOST_NEW_TOKENS)
        with tf.control_dependencies([tf.debugging.Assert(in_range, [refusal, max_new_tokens])]):
            max_new_tokens = tf.identity(max_new_tokens)
        state = self.generation.start(ids, lengths, samples=1, max_new_tokens=max_new_tokens)
        state = self.generation.advance(state, sampling, tf.shape(state["ids"])[1])
        # the new text is the whole text without the prompt: so it includes the space before its first word
        before, whole = self._decode(state["ids"], lengths), self._decode(state["ids"], state["lengths"])
        before = tf.ensure_shape(before, lengths.shape)
        start, whole = tf.strings.length(before), tf.ensure_shape(whole, before.shape)
        return tf.strings.substr(whole, start, tf.strings.length(whole) - start)

    def _score(self, text):
        ids, lengths = self._encode(text)
        scores = self.scoring.token_log_probabilities(ids)
        scores = tf.cast(scores, tf.float64)  # the sum over a long text needs more digits than its terms
        counts = tf.maximum(0, lengths - 1)  # the first id of each row is not scored
        counted = tf.sequence_mask(counts, tf.shape(scores)[1], scores.dtype)
        return {"log_probability": tf.reduce_sum(scores * counted, axis=1), "token_count": counts}
