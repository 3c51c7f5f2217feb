"""What `fit` refuses before it begins, for every task."""

import pytest

from lmkeras import FitSettings, InputError, LanguageModel, Model, TextClassifier
from lmkeras.corpora.tables import Rows
from lmkeras.networks.bodies.recurrent import RecurrentWriter, lstm_language_model
from lmkeras.networks.network import Network
from lmkeras.tasks.checks import require_vocabulary
from lmkeras.tokenizers import new_tokenizer
from lmkeras.training.settings import ClassifierFitSettings
from tests.test_extending import Rating, StarsHead

EXAMPLES = [("good film", "pos"), ("bad film", "neg")] * 5


def test_a_corpus_without_examples_is_refused_when_it_is_read():
    with pytest.raises(InputError, match="there are no examples: the table has no rows"):
        list(Rows(lambda: iter(())))


def test_a_body_that_writes_gives_no_answers_to_whole_texts():
    tokenizer = new_tokenizer("words").fit(["good film", "bad film"])
    network = Network(RecurrentWriter(9, embedding_dim=4, units=3), StarsHead())
    with pytest.raises(InputError, match="a rater needs a body that reads whole texts, got one of RecurrentWriter"):
        Model(Rating(), network, tokenizer)


@pytest.mark.parametrize(("known", "exactly", "fits"), [(8, False, False), (9, True, True), (10, False, True)])
def test_a_network_knows_all_ids_of_its_tokenizer(known, exactly, fits):
    if fits:
        require_vocabulary(known, 9, exactly=exactly)
        return
    with pytest.raises(InputError, match="the network has a vocabulary of 8 and the tokenizer one of 9: give the tok"):
        require_vocabulary(known, 9, exactly=exactly)


def test_a_head_that_draws_ids_knows_no_others():
    tokenizer = new_tokenizer("words").fit(["good film"])
    with pytest.raises(InputError, match="the network has a vocabulary of 10 and the tokenizer one of 4: give the tok"):
        LanguageModel(lstm_language_model(10), tokenizer)


def test_settings_of_another_task_are_refused_by_name():
    with pytest.raises(InputError, match="a text classifier is trained with ClassifierFitSettings, got FitSettings"):
        TextClassifier("dense").fit(EXAMPLES, settings=FitSettings())
    with pytest.raises(InputError, match="a language model is trained with FitSettings, got ClassifierFitSettings"):
        LanguageModel("lstm").fit(["a b"], settings=ClassifierFitSettings())


@pytest.mark.parametrize("settings", [{"patience": 2}, {"monitor": "val_loss"}])
def test_what_judges_by_the_validation_part_needs_one(settings):
    with pytest.raises(InputError, match="monitor and patience judge by the validation part: give one"):
        TextClassifier("dense").fit(EXAMPLES, validation_fraction=0, **settings)


def test_the_best_weights_may_be_chosen_by_macro_f1():
    model = TextClassifier("dense")
    history = model.fit(EXAMPLES, validation=EXAMPLES, monitor="val_macro_f1", epochs=3, verbose=0)
    best = max(line["val_macro_f1"] for line in history)
    assert model.evaluate(EXAMPLES)["macro_f1"] == pytest.approx(best)
