"""Many calls of models in a process of their own, which says how its memory and its compilations went.

    python -m tests.soaking ROUNDS FOLDER

FOLDER is where XLA has been told to write what it compiles.
"""

import ctypes
import gc
import json
import os
import random
import sys
from pathlib import Path

from lmkeras.decoding import generate
from lmkeras.models.language_model import LanguageModel
from lmkeras.models.text_classifier import TextClassifier
from lmkeras.tasks.classification import Classification
from lmkeras.tasks.language import Language
from lmkeras.tokenizers import new_tokenizer
from tests.models.built import built

WORDS = "Ann has three apples and Bob has four pears".split()
LONGEST_PROMPT, LONGEST_TEXT, MOST_TEXTS, MOST_NEW_TOKENS = 100, 30, 2, 20
NETWORKS = {
    "transformer": {"d_model": 16, "num_heads": 2, "num_layers": 1, "context_length": 128},
    "lstm": {"embedding_dim": 8, "units": 16},
}
CLASSIFIERS = {"transformer": {"d_model": 16, "num_heads": 2, "num_layers": 1}, "dense": {"embedding_dim": 8}}


class Soaking:
    """Small models of random weights, which are called with texts of changing numbers and lengths.

    Attributes:
        python_calls: how often the networks' own Python ran: only when they are traced, or were not compiled at all.
    """

    def __init__(self):
        characters, words = (new_tokenizer(name).fit([" ".join(WORDS)]) for name in ("characters", "words"))
        self.python_calls = 0
        self.writers, self.labellers = [], []
        for name, sizes in NETWORKS.items():
            network = built(name, Language(), vocabulary_size=characters.vocabulary_size, **sizes)
            network.step = self._counted(network.step)
            self.writers.append(LanguageModel(network, characters))
        for name, sizes in CLASSIFIERS.items():
            task = Classification(labels=("no", "yes"))
            network = built(name, task, vocabulary_size=words.vocabulary_size, **sizes)
            network.call = self._counted(network.call)
            self.labellers.append(TextClassifier(network, words, labels=task.labels))

    def _counted(self, function):
        def counting(*arguments, **settings):
            self.python_calls += 1
            return function(*arguments, **settings)

        return counting

    def call(self, prompt_lengths, text_lengths, max_new_tokens, seed):
        """Each model once, with as many texts as there are lengths; prompts in characters, texts in words."""
        written = (" ".join(WORDS) + " ") * 3
        prompts = [written[:length] for length in prompt_lengths]
        for model in self.writers:
            texts = model.generate(prompts, max_new_tokens, seed=seed, temperature=float(seed % 2))
            assert len(texts) == len(prompts)
        texts = [" ".join(random.Random(seed).choices(WORDS, k=length)) for length in text_lengths]
        for model in self.labellers:
            assert len(model.predict(texts)) == len(texts)

    def warm_up(self):
        """All lengths that will come, and all numbers of texts."""
        for number in range(1, MOST_TEXTS + 1):
            for length in range(LONGEST_PROMPT + 1):
                self.call([length] * number, [length % (LONGEST_TEXT + 1)] * number, 1 + length % MOST_NEW_TOKENS, 1)

    def soak(self, rounds, seed):
        """As many rounds of chance."""
        chance = random.Random(seed)
        for _ in range(rounds):
            number = chance.randint(1, MOST_TEXTS)
            prompts, texts = (
                [chance.randint(0, longest) for _ in range(number)] for longest in (LONGEST_PROMPT, LONGEST_TEXT)
            )
            self.call(prompts, texts, chance.randint(1, MOST_NEW_TOKENS), chance.randint(0, 99))


def resident_bytes() -> int:
    """What the process holds in memory, once it has given back what it does not need."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def main(rounds: int, folder: Path) -> None:
    """Prints what was found after the warm-up and after each tenth of the rounds, as JSON."""
    generate._WORTH_COMPILING = 1  # so that short texts show whether anything is compiled again
    soaking, found = Soaking(), []
    soaking.warm_up()
    for part in range(11):
        if part:
            soaking.soak(rounds // 10, part)
        compiled = len(list(folder.glob("*before_optimizations.txt")))
        found.append({"bytes": resident_bytes(), "compiled": compiled, "python_calls": soaking.python_calls})
    print(json.dumps(found))


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
