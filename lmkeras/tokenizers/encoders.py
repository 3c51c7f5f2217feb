"""The tokenizer of a published encoder, of whichever kind its folder holds."""

import os
from pathlib import Path

from lmkeras.tokenizers.base import BaseTokenizer
from lmkeras.tokenizers.bert_files import downloaded
from lmkeras.tokenizers.roberta import RobertaTokenizer
from lmkeras.tokenizers.roberta_files import FILES, read_byte_level
from lmkeras.tokenizers.word_piece import WordPieceTokenizer


def encoder_tokenizer(source: str | os.PathLike) -> BaseTokenizer:
    """The tokenizer of a published encoder: byte pairs as of RoBERTa, or word pieces as of BERT.

    The files decide, not the name of the network: there are RoBERTas with word pieces, of Korean for example.

    Args:
        source: a folder or a name on the Hugging Face hub, see `RobertaTokenizer.from_pretrained` and
            `WordPieceTokenizer.from_pretrained`; or a vocabulary file of word pieces.

    Raises:
        InputError: no such files, files that are damaged, or a tokenizer of another kind.
    """
    if Path(source).is_file():
        return WordPieceTokenizer.from_pretrained(source)
    folder = Path(source) if Path(source).is_dir() else downloaded(str(source), FILES)
    files = read_byte_level(folder)
    return WordPieceTokenizer.from_pretrained(folder) if files is None else RobertaTokenizer(*files)
