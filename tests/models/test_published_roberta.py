"""What RoBERTa has of its own: blanks inside pieces, two separators, and positions behind that of padding."""

import numpy as np
import pytest
import tensorflow as tf

import lmkeras
from lmkeras.errors import InputError
from lmkeras.tokenizers.roberta import RobertaTokenizer
from tests.models.test_published import write
from tests.tokenizers import roberta

LONG = "The  film is in Munich \n and Anna\u3000Smith's house isn't. " * 5
CONTEXTS = [LONG, "Anna", "", " \u3000 ", "  é 👩🏽  <mask> "]
TAGS = ("O", "B-PER", "I-PER", "B-LOC", "I-LOC")


def exported(model, folder):
    model.export(folder)
    return tf.saved_model.load(str(folder))


def test_words_are_read_as_behind_blanks_and_entities_have_none_around_them(tmp_path):
    theirs, tokenizer = write(tmp_path, "ForTokenClassification", "roberta", labels=TAGS), roberta.tokenizer()
    model = lmkeras.from_pretrained(tmp_path)
    assert (type(model), model.task.labels) == (lmkeras.Tagger, TAGS)
    split, words = roberta.of_transformers(add_prefix_space=True), ["Anna", "Smith", "'s", "house", "!"]
    inputs = split(words, is_split_into_words=True, return_tensors="np")
    states = theirs.bert(inputs["input_ids"].astype("int32")).last_hidden_state
    starts = [inputs.word_ids().index(number) for number in range(len(words))]
    scores = np.asarray(theirs.head(tf.gather(states, starts, axis=1)))[0]
    examples, *_ = model.task.encode([(words, ())], tokenizer, model.network)
    found = model.network({name: tf.constant(one) for name, one in examples.inputs(np.array([0])).items()})
    np.testing.assert_allclose(np.asarray(found)[0, : len(words)], scores, atol=1e-5)
    twin = exported(model, tmp_path / "exported")
    for text in (LONG, "  Anna  ", ""):
        given, there = twin.tag(tf.constant([text])), model.predict(text).entities
        assert all(one.text == text[one.start : one.end] == one.text.strip() for one in there)
        assert given["starts"].to_list() == [[one.start for one in there]]
        assert given["texts"].to_list() == [[one.text.encode() for one in there]]
        np.testing.assert_allclose(given["probabilities"].flat_values, [one.probability for one in there], rtol=1e-3)


def test_answers_of_long_contexts_have_no_blanks_around_them_in_python_and_in_graph(tmp_path):
    write(tmp_path, "ForQuestionAnswering", "roberta")
    model = lmkeras.from_pretrained(tmp_path, unanswerable=False, doc_stride=7, max_answer_tokens=5)
    given = model.predict(["Where is it?"] * len(CONTEXTS), CONTEXTS)
    twin = exported(model, tmp_path / "exported")
    there = twin.answer(tf.constant(["Where is it?"] * 5), tf.constant(CONTEXTS))
    for place, (one, context) in enumerate(zip(given, CONTEXTS, strict=True)):
        assert one.text == context[one.start : one.end]
        assert one.text == one.text.strip() or not context.strip()
        assert (one.start, one.end) == (there["start"][place], there["end"][place])
        assert one.text.encode() == there["answer"][place].numpy()
        assert one.probability == pytest.approx(float(there["probability"][place]), rel=1e-3)
    assert max(one.start for one in given) > 40  # so that a later window has answered


def test_exported_classifiers_and_masks_answer_as_python_does(tmp_path):
    write(tmp_path / "c", "ForSequenceClassification", "roberta", labels=3)
    write(tmp_path / "m", "ForMaskedLM", "roberta")
    pairs = lmkeras.from_pretrained(tmp_path / "c", pairs=True)
    twin = exported(pairs, tmp_path / "pairs")
    answer = twin.classify(tf.constant(CONTEXTS), tf.constant(CONTEXTS[::-1]))
    found = pairs.predict(list(zip(CONTEXTS, CONTEXTS[::-1], strict=True)))
    for row, one in zip(answer["probabilities"].numpy(), found, strict=True):
        np.testing.assert_allclose(row, [one.probabilities[label] for label in pairs.labels], atol=1e-5)
    masks, text = lmkeras.from_pretrained(tmp_path / "m"), "The  <mask> is<mask>."
    twin = exported(masks, tmp_path / "masks")
    answer = twin.fill(tf.constant([text]))
    for place, mask in enumerate(masks.predict(text, top_k=5).masks):
        assert [token.decode() for token in answer["tokens"].numpy()[0, place]] == [token for token, _ in mask]
        np.testing.assert_allclose(answer["probabilities"][0, place], [p for _, p in mask], atol=1e-5)
    with pytest.raises(InputError, match="there is no <mask> in the text"):
        masks.predict("none")


def test_training_begins_from_its_weights_and_what_is_saved_has_its_tokenizer(tmp_path):
    write(tmp_path / "theirs", "ForMaskedLM", "roberta")
    model = lmkeras.TextClassifier("bert", weights=tmp_path / "theirs")
    texts, labels = ["The film is good", "The film is bad"] * 8, ["pos", "neg"] * 8
    model.fit(texts, labels, epochs=12, learning_rate=0.01, validation_fraction=0, verbose=0)
    assert isinstance(model.tokenizer, RobertaTokenizer)
    assert [one.label for one in model.predict(texts)] == labels
    model.save(tmp_path / "own")
    again = lmkeras.load(tmp_path / "own")
    assert again.predict(texts[0]).probabilities == pytest.approx(model.predict(texts[0]).probabilities)
    masks = lmkeras.MaskedLanguageModel("bert", weights=tmp_path / "theirs", next_sentence=False)
    masks.fit(["The film is good. Where is it? It is bad."] * 4, steps=3, validation_fraction=0, verbose=0)
    masks.save_pretrained(tmp_path / "published")
    read = lmkeras.from_pretrained(tmp_path / "published")
    text = "The <mask> is good"
    assert [token for token, _ in read.predict(text).masks[0]] == [token for token, _ in masks.predict(text).masks[0]]
