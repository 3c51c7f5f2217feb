"""How BERT cleans texts up and cuts them into words, which are the same for every vocabulary."""

import dataclasses

from tokenizers import normalizers, pre_tokenizers

from lmkeras.archives import shortened
from lmkeras.errors import InputError

#: a word of more characters is unknown as a whole
LONGEST_WORD = 100


@dataclasses.dataclass(frozen=True)
class BertTextRules:
    """BERT's text rules: control characters are removed, texts are cut at white space and around punctuation.

    Args:
        lowercase: each character becomes its lower case, whatever stands around it (a final sigma becomes 'σ').
        strip_accents: texts are decomposed (Unicode's NFD) and lose their marks of category Mn; None for the same as
            `lowercase`.
        tokenize_chinese_chars: every CJK ideograph is a word of its own.

    Raises:
        InputError: a setting that is no bool (or None, for strip_accents).

    Source: Devlin et al. 2019, "BERT: Pre-training of Deep Bidirectional Transformers for Language Understanding",
    and the basic tokenizer of its published code. Which characters are letters, marks or punctuation is what the
    `tokenizers` library says.

    Example:
        >>> BertTextRules().words("Où  est\\tl'Été?")
        ['ou', 'est', 'l', "'", 'ete', '?']
    """

    lowercase: bool = True
    strip_accents: bool | None = None
    tokenize_chinese_chars: bool = True

    def __post_init__(self):
        for name, value in dataclasses.asdict(self).items():
            if type(value) is not bool and not (name == "strip_accents" and value is None):
                raise InputError(f"{name} must be true or false, not {shortened(repr(value))}")

    @property
    def decomposes(self) -> bool:
        """Whether texts are decomposed and lose their accents."""
        return self.lowercase if self.strip_accents is None else self.strip_accents

    def normalizer(self) -> normalizers.Normalizer:
        """The library's clean-up under these rules."""
        return normalizers.BertNormalizer(
            clean_text=True,
            handle_chinese_chars=self.tokenize_chinese_chars,
            strip_accents=self.decomposes,
            lowercase=self.lowercase,
        )

    def words(self, text: str) -> list[str]:
        """The words of a text; every punctuation character is a word."""
        clean = self.normalizer().normalize_str(text)
        return [word for word, _ in pre_tokenizers.BertPreTokenizer().pre_tokenize_str(clean)]
