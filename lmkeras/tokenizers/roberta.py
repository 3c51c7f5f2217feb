"""RobertaTokenizer: byte pairs as RoBERTa has them, and its inputs of one text or two."""

import functools
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from lmkeras.archives import shortened
from lmkeras.durable import local, replacing
from lmkeras.errors import InputError
from lmkeras.tokenizers.bert_files import CONFIG, TOKENIZER, downloaded
from lmkeras.tokenizers.bert_inputs import BertInputs
from lmkeras.tokenizers.published import PublishedTokenizer
from lmkeras.tokenizers.published_library import around_texts
from lmkeras.tokenizers.roberta_files import FILES, has_prefix, read_byte_level
from lmkeras.tokenizers.special import SpecialIds

#: the names that special tokens have where no file says others
_NAMES = {
    "bos_token": "<s>",
    "eos_token": "</s>",
    "cls_token": "<s>",
    "sep_token": "</s>",
    "pad_token": "<pad>",
    "unk_token": "<unk>",
    "mask_token": "<mask>",
}


class RobertaTokenizer(BertInputs, PublishedTokenizer):
    """The byte-level tokenizer of RoBERTa; its ids are those of Hugging Face's RobertaTokenizerFast.

    Where the name of a special token is written out in a text, it is encoded to that token's id; "<mask>" takes the
    white space before it in. A word has other ids behind a blank than at the start of a text, so `before_words` is put
    before words that are encoded alone.

    Args:
        tokenizer: the content of tokenizer.json.
        config: the content of tokenizer_config.json; {} where there is none.
        ends: see PublishedTokenizer.

    Raises:
        InputError: a file is damaged, or its model is none of byte-level pairs; the vocabulary lacks what stands around
            texts, or something else stands there.

    Source: Liu et al. 2019, "RoBERTa: A Robustly Optimized BERT Pretraining Approach".
    """

    reads_names = trims_offsets = True
    gives_token_types = False
    before_words = " "

    def __init__(self, tokenizer: Mapping, config: Mapping | None = None, ends: Sequence[int] = ()):
        names = {} if config is None else config
        if isinstance(names, Mapping):  # else PublishedTokenizer refuses it
            said = {name: one for name, one in names.items() if name not in _NAMES or _content(one) is not None}
            names = {**_NAMES, **said}
        super().__init__(_with_special(tokenizer, names), names, ends)
        if self._spelling is None or not self._spelling.byte_level:
            raise InputError("expected a byte-level tokenizer.json, as RoBERTa has, whose decoder is ByteLevel")
        found = around_texts(self._tokenizer, pair=True)
        if found == [None, None]:  # no post-processor, or one that leaves texts as they are
            self._tokenizer["post_processor"] = self._of_roberta()
            found = around_texts(self._tokenizer, pair=True)
        first, text, *between, second, last = found if len(found) >= 5 else [None] * 5
        known = None not in (first, last) and max(first, last) < self.vocabulary_size
        if not known or {text, second} != {None} or {*between} != {last}:
            wanted = "ids before, between and behind two texts"
            raise InputError(f"expected {wanted}, as RoBERTa has them, got {shortened(found)}")
        self._separators = len(between)
        self._first, self._last = first, last

    @classmethod
    def from_pretrained(cls, source: str | os.PathLike) -> "RobertaTokenizer":
        """The tokenizer of a RoBERTa checkpoint.

        Args:
            source: a folder with tokenizer.json, or with vocab.json and merges.txt, and perhaps tokenizer_config.json;
                or a name on the Hugging Face hub.

        Raises:
            InputError: no such files, files that are damaged, or a tokenizer that is not byte-level.
        """
        folder = Path(source) if Path(source).is_dir() else downloaded(str(source), FILES)
        files = read_byte_level(folder)
        if files is None:
            raise InputError(f"{folder} holds no byte-level tokenizer: expected {TOKENIZER}, or vocab.json, merges.txt")
        return cls(*files)

    def save_vocabulary(self, folder: str | os.PathLike) -> None:
        """Writes tokenizer.json and tokenizer_config.json into a folder, for `from_pretrained` here and elsewhere."""
        contents = self.files()
        local(folder).mkdir(parents=True, exist_ok=True)
        for name, content in ((TOKENIZER, contents["tokenizer"]), (CONFIG, contents["tokenizer_config"])):
            with replacing(local(folder) / name) as aside:
                aside.write_text(json.dumps(content, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")

    def files(self):
        """See PublishedTokenizer."""
        prefix = has_prefix(self._tokenizer.get("pre_tokenizer"))
        own = {"tokenizer_class": "RobertaTokenizer", "add_prefix_space": prefix}
        stripped = [one.content for one in self._added.values() if one.lstrip]
        names = {
            name: {"__type": "AddedToken", "content": token, "lstrip": True}
            for name, token in self.special_names.items()
            if token in stripped
        }
        return {"tokenizer": self._tokenizer, "tokenizer_config": {**self._config, **names, **own}}

    @property
    def model_max_length(self) -> int | None:
        """The number of tokens that `truncation=True` cuts to if no max_length is given; None for no such length."""
        return self._config.get("model_max_length")

    @functools.cached_property
    def special(self) -> SpecialIds:
        """The ids of the special tokens; those around texts also start and end texts that a language model writes."""
        first, last = self._first, self._last
        around = {"classification": first, "separator": last, "separators": self._separators}
        others = {"padding": self._named("pad"), "mask": self._named("mask"), "unknown": self._named("unk")}
        return SpecialIds(start=first, ends=(last,), **around, **others)

    def token(self, id: int) -> str:
        """The text that an id stands for, or the name of a special token."""
        one = self._added.get(id)
        return one.content if one is not None and one.special else self.decode([id])

    def _of_roberta(self) -> dict:
        """The post-processor of RoBERTa, with this tokenizer's ids."""
        tokens = {role: [self.special_names[f"{role}_token"], self._named(role)] for role in ("cls", "sep")}
        if lacking := [name for name, id in tokens.values() if id is None]:
            raise InputError(f"the vocabulary lacks the special tokens {shortened(lacking)}")
        prefix = has_prefix(self._tokenizer.get("pre_tokenizer"))
        return {"type": "RobertaProcessing", "trim_offsets": True, "add_prefix_space": prefix, **tokens}

    def _named(self, role: str) -> int | None:
        """The id of the special token of a role, such as "mask"; None where there is none."""
        return self._ids.get(self.special_names[f"{role}_token"])


def _with_special(tokenizer: Mapping, names: Mapping[str, object]) -> Mapping:
    """A tokenizer.json in which all special tokens are looked for in texts, as the library transformers does it.

    Args:
        tokenizer: the content of the file.
        names: the special tokens by their role, such as "mask_token", as tokenizer_config.json has them.
    """
    try:
        ids, added = tokenizer["model"]["vocab"], list(tokenizer.get("added_tokens") or [])
        known = {token["content"] for token in added}
        for name, token in names.items():
            how = token if isinstance(token, Mapping) else {"lstrip": name == "mask_token"}
            content = _content(token)
            if name in _NAMES and content in ids and content not in known:
                options = {one: how.get(one) is True for one in ("single_word", "lstrip", "rstrip", "normalized")}
                added.append({"id": ids[content], "content": content, **options, "special": True})
                known.add(content)
        return {**tokenizer, "added_tokens": sorted(added, key=lambda token: token["id"])}
    except (AttributeError, KeyError, TypeError):
        return tokenizer  # which PublishedTokenizer refuses


def _content(token: object) -> str | None:
    """The name of a special token, which may be an object with options; None for anything else."""
    content = token.get("content") if isinstance(token, Mapping) else token
    return content if isinstance(content, str) else None
