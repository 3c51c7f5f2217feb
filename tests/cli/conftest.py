"""A folder of things that cannot be used, with models that can, for the command line to be run in."""

import gzip
import shutil

import pytest

from lmkeras import LanguageModel
from lmkeras.tasks.language import Language
from lmkeras.tokenizers import new_tokenizer
from tests.models.built import built
from tests.models.reviews import drawn

TEXT = "".join(f"Ann has {count} apples and {count} pears.\n" for count in range(40)).encode()
EXAMPLES = b"text,label\n" + b"fizzy,yes\nvague,no\n" * 10
FILES = {
    "text.txt": TEXT,
    "binary.txt": bytes(range(1, 256)),
    "nul.txt": b"one\ntwo\0\n",
    "latin.txt": b"one\ntwo\ncaf\xe9\n",
    "utf16.txt": TEXT.decode().encode("utf-16-le"),
    "empty.txt": b"",
    "blank.txt": b" \n\t\n",
    "unpacked.txt.gz": TEXT,
    "cut.txt.gz": gzip.compress(TEXT)[:-9],
    "garbled.txt.gz": gzip.compress(TEXT)[:10] + b"\xff" * 40,
    "checksum.txt.gz": gzip.compress(TEXT)[:-8] + bytes(8),
    "bomb.csv.gz": gzip.compress(b"text,label\n" + b"a" * 2**22),
    "bomb.txt.gz": gzip.compress(b"yes\t" + b"a" * 2**22),
    "words.csv": b"words,mark\na,b\n",
    "words.tsv": b"words\tmark\na\tb\n",
    "ragged.csv": b"text,label\na,b\nc,d,e\n",
    "quote.csv": b'text,label\na,b\n"c,d\ne,f\n',
    "header.csv": b"text,label\n",
    "twice.csv": b"text,label,text\na,b,c\n",
    "merged.csv": b'text,label\n"a,x\nb",y\nc,x\n',
    "list.jsonl": b'{"text": "a", "label": "b"}\n["a", "b"]\n',
    "keyless.jsonl": b'{"text": "a", "label": "b"}\n{"words": "a"}\n',
    "number.jsonl": b'{"text": 5, "label": "b"}\n',
    "deep.jsonl": b"[" * 100_000 + b"\n",
    "digits.jsonl": b'{"text": "a", "label": ' + b"9" * 5000 + b"}\n",
    "broken.jsonl": b'{"text": "a", "label": "b"}\n\n{"text": \n',
    "surrogate.jsonl": b'"good"\n"half \\ud83d"\n',
    "constant.csv": b"text,label\na,x\nb,x\n",
    "lonely.csv": b"text,label\na,yes\nb,no\n",
    "combined.csv": b'text,label\na,yes\nb,"yes,no"\nc,\n',
    "run/config.json": b"{}",
    "run/metrics.jsonl": b"{}",
    "unlabelled.csv": b"text,label\na,yes\nb, \nc,no\n",
    "known.csv": "text,label\nfizzy,no\nvague,nö\n".encode(),
    "other.csv": b"text,label\na,maybe\nb,no\n",
    "labels.jsonl": b'{"text": "a", "label": {"x": 1}}\n',
    "pair.jsonl": b'{"text": "a", "pair": "b", "label": "yes"}\n{"text": "a", "pair": null, "label": "no"}\n',
    "pairs.csv": b"text,pair,label\na,b,yes\nc,d,no\n",
    "two\nlines.txt": b"",
    "tabless.txt": b"yes\ta\nno b\n",
    "fasttext.txt": b"__label__yes a\n__label__no b __label__yes\n",
    "textless.txt": b"__label__yes\n__label__no\n",
    "examples.csv": EXAMPLES,
    "mine.csv": b"my own table",
    "mine.png": b"my own picture",
    "folder/mine.doc": b"my own file",
    "used/logs/mine.log": b"my own file",
    "deep/a/b/c.txt": b"text",
    "garbled/config.json": b"{",
    "nested/config.json": b"[" * 100_000,
}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with FILES, the saved models `lm` and `classifier`, damaged ones, and `exported`."""
    folder = tmp_path_factory.mktemp("place")
    tokenizer = new_tokenizer("characters").fit([TEXT.decode()])
    sizes = {"d_model": 8, "num_heads": 2, "num_layers": 1, "context_length": 16}
    network = built("transformer", Language(), vocabulary_size=tokenizer.vocabulary_size, **sizes)
    LanguageModel(network, tokenizer).save(folder / "lm")
    drawn("dense", "words").save(folder / "classifier")
    for name in ("config.json", "tokenizer.json", "model.safetensors"):
        shutil.copytree(folder / "lm", folder / f"damaged-{name}")
        shutil.copytree(folder / "lm", folder / f"without-{name}")
        (folder / f"damaged-{name}" / name).write_bytes((folder / "lm" / name).read_bytes()[:-9])
        (folder / f"without-{name}" / name).unlink()
    for name, content in {**FILES, "exported/saved_model.pb": b"an earlier one"}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    (folder / "folder.csv").mkdir()
    return folder


@pytest.fixture
def in_place(place, monkeypatch):
    """That folder as the one that the command line is run in; what is called new… is removed afterwards."""
    monkeypatch.chdir(place)
    monkeypatch.setattr("lmkeras.corpora.characters.LONGEST_LINE", 2**20)
    yield place
    for new in place.glob("new*"):
        shutil.rmtree(new) if new.is_dir() else new.unlink()
