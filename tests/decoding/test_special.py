"""Text in, text out with a tokenizer whose special ids are others than 0, and with one that has none."""

import numpy as np
import pytest
import tensorflow as tf

from lmkeras.decoding.generate import GenerationLoop
from lmkeras.decoding.sampling import Sampling
from lmkeras.decoding.score import TextScorer
from lmkeras.decoding.text import TextGenerator
from lmkeras.errors import InputError
from lmkeras.export.saved_model import write_saved_model
from lmkeras.tasks.language import Language
from lmkeras.tokenizers.special import SpecialIds
from tests.decoding.letters import SPECIAL, TOKENS, Letters
from tests.decoding.networks import CONTEXT, build

PROMPTS = ["abc", "", "a!!", "fade a cab"]
NEW = 3 * CONTEXT
WITHOUT_START = SpecialIds(unknown=7)
BARE = SPECIAL._replace(always_before=False)
SIDES = [(name, special) for name in ("pre_norm", "lstm") for special in (SPECIAL, WITHOUT_START)] + [
    ("pre_norm", BARE)
]
IDS = ["pre_norm start", "pre_norm none", "lstm start", "lstm none", "pre_norm bare"]


@pytest.fixture(scope="module", params=SIDES, ids=IDS)
def generator(request):
    """Shared by the tests of this file; its loop is not compiled, which takes longer than all that they generate."""
    name, special = request.param
    network, tokenizer = build(name), Letters(special)
    generator = TextGenerator(network, tokenizer)
    generator.loop = GenerationLoop(network, special, compiled=False)
    return generator


def export(network, tokenizer, folder):
    module, signatures = Language().exported(network, tokenizer, "float32")
    write_saved_model(module, signatures, folder)


def prompts_for(tokenizer):
    return [prompt for prompt in PROMPTS if prompt or tokenizer.special.before_text is not None]


def test_texts_end_before_their_ends_and_id_0_is_written(generator):
    """The same draws where no id is an end, whose token is then spelt out, tell where each text ends."""
    tokenizer, sampling = generator.tokenizer, Sampling(temperature=5.0, seed=4)
    free = TextGenerator(generator.loop.network, tokenizer)
    free.loop = GenerationLoop(generator.loop.network, tokenizer.special._replace(ends=()), compiled=False)
    prompts = prompts_for(tokenizer)
    texts, expected = (one.generate(prompts, NEW, sampling, (), 8) for one in (generator, free))
    assert any("<end>" in text and "<end of turn>" in text for row in expected for text in row)
    assert "!" in "".join(text for row in texts for text in row)
    assert "<unknown>" not in "".join(text for row in expected for text in row)
    if tokenizer.special.ends:
        expected = [[text.split("<end")[0] for text in row] for row in expected]
    assert texts == expected


def test_a_prompt_follows_the_id_that_starts_a_text(generator):
    network, tokenizer = generator.loop.network, generator.tokenizer
    (text,) = generator.generate(["ab!"], 1, Sampling(temperature=0.0), (), 1)[0]
    start = [] if tokenizer.special in (WITHOUT_START, BARE) else [tokenizer.special.start]
    logits = network(np.array([[*start, *tokenizer.encode("ab!")]])).numpy()[0, -1]
    logits[tokenizer.special.unknown] = -np.inf
    best = int(logits.argmax())
    assert text == ("" if best in tokenizer.special.ends else TOKENS[best])


def test_a_stream_is_the_same_text(generator):
    sampling = Sampling(temperature=1.5, seed=2)
    assert "".join(generator.stream("a!", NEW, sampling, ())) == generator.generate(["a!"], NEW, sampling, (), 1)[0][0]


def test_predictions_name_the_end_alone_by_no_text(generator):
    tokens = [token for token, _ in generator.predict("ab", len(TOKENS))]
    ends = {TOKENS[i] for i in generator.tokenizer.special.ends}
    assert set(tokens) == set(TOKENS) - ends | ({""} if ends else set())


def test_an_exported_model_gives_the_same(generator, tmp_path):
    network, tokenizer = generator.loop.network, generator.tokenizer
    export(network, tokenizer, tmp_path / "exported")
    signatures, prompts = tf.saved_model.load(str(tmp_path / "exported")).signatures, prompts_for(tokenizer)
    for temperature in (0.0, 1.5):
        sampling = Sampling(temperature=temperature, seed=6)
        arguments = {
            "max_new_tokens": NEW,
            "temperature": temperature,
            "top_k": 0,
            "top_p": 1.0,
            "repetition_penalty": 1.0,
            "seed": 6,
        }
        arguments = {name: tf.constant(value) for name, value in arguments.items()}
        texts = signatures["generate"](prompt=tf.constant(prompts), **arguments)["text"].numpy().tolist()
        expected = generator.generate(prompts, NEW, sampling, (), 1)
        assert [text.decode() for text in texts] == [text for (text,) in expected]
    found = signatures["score"](text=tf.constant(PROMPTS))
    scorer = TextScorer(network, tokenizer)
    scores = [scorer.score(text) for text in PROMPTS]
    np.testing.assert_allclose(found["log_probability"], [score.log_probability for score in scores], atol=1e-4)
    assert found["token_count"].numpy().tolist() == [len(score.tokens) for score in scores]


def test_scores_are_given_the_start_or_the_first_token(generator):
    network, tokenizer = generator.loop.network, generator.tokenizer
    text = "!a!b "
    start = [] if tokenizer.special in (WITHOUT_START, BARE) else [tokenizer.special.start]
    ids = [*start, *tokenizer.encode(text)]
    logits = tf.nn.log_softmax(network(np.array([ids[:-1]]))).numpy()[0]
    score = TextScorer(network, tokenizer).score(text)
    assert score.tokens == [TOKENS[i] for i in ids[1:]]
    np.testing.assert_allclose(
        score.token_log_probabilities,
        [logits[i, ids[i + 1]] for i in range(len(ids) - 1)],
        rtol=1e-5,  # the logits are tens of times as large as 1, and float32 has seven digits
        atol=1e-5,
    )
    assert score.log_probability == pytest.approx(sum(score.token_log_probabilities))


@pytest.mark.parametrize("text", ["", "a"])
def test_where_there_is_nothing_to_score(generator, text):
    network, tokenizer = generator.loop.network, generator.tokenizer
    score = TextScorer(network, tokenizer).score(text)
    scored = [] if tokenizer.special in (WITHOUT_START, BARE) else list(text)
    assert score.tokens == scored
    assert scored or (score.log_probability, score.perplexity) == (0.0, 1.0)


def test_an_empty_text_begins_with_the_start_even_where_no_other_does():
    """The start stands before an empty prompt alone, whose text is then what it is with a start before all prompts."""
    network, sampling = build("pre_norm"), Sampling(temperature=1.0, seed=3)
    generators = [TextGenerator(network, Letters(special)) for special in (BARE, SPECIAL)]
    (bare, after_a), (usual, _) = (one.generate(["", "a"], NEW, sampling, (), 1) for one in generators)
    assert bare == usual
    ids = [Letters().encode("a")]
    assert after_a == generators[1].generate(ids, NEW, sampling, (), 1)[0]


def test_nothing_can_be_written_after_nothing():
    network, tokenizer = build("lstm"), Letters(WITHOUT_START)
    generator = TextGenerator(network, tokenizer)
    for prompts in ([""], ["a", ""]):
        with pytest.raises(InputError, match="no id that starts a text: give a prompt"):
            generator.generate(prompts, 3, Sampling(), (), 1)


def test_an_export_refuses_to_write_after_nothing(tmp_path):
    export(build("lstm"), Letters(WITHOUT_START), tmp_path / "exported")
    generate = tf.saved_model.load(str(tmp_path / "exported")).signatures["generate"]
    arguments = {
        "max_new_tokens": 3,
        "temperature": 0.0,
        "top_k": 0,
        "top_p": 1.0,
        "repetition_penalty": 1.0,
        "seed": 6,
    }
    with pytest.raises(tf.errors.InvalidArgumentError, match="no id that starts a text: give prompts"):
        generate(prompt=tf.constant(["a", ""]), **{name: tf.constant(value) for name, value in arguments.items()})
