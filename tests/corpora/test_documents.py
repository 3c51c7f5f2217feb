import pytest

from lmkeras.corpora.documents import documents_of

CASES = {
    "blank lines part documents, and so do texts": (["a\nb\n\n \nc", "d"], [["a", "b"], ["c"], ["d"]]),
    "lines and full stops part sentences": (
        ["One. Two? 3.5 is a number!\nno end"],
        [["One.", "Two?", "3.5 is a number!", "no end"]],
    ),
    "closing marks belong to their sentence": (['He said "no." Then he went.'], [['He said "no."', "Then he went."]]),
    "Chinese has no blanks": (["天地玄黄。宇宙洪荒！“日月？”盈昃"], [["天地玄黄。", "宇宙洪荒！", "“日月？”", "盈昃"]]),
    "what is blank is left out": (["", " \n\n ", "a"], [["a"]]),
    "line ends of other systems": (["a\r\n\r\nb"], [["a"], ["b"]]),
}


@pytest.mark.parametrize("case", CASES)
def test_documents_and_sentences(case):
    texts, expected = CASES[case]
    assert list(documents_of(texts)) == expected
