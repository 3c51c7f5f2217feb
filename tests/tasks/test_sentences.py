import tensorflow as tf
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lmkeras.tasks.sentences import sentences, sentences_in_graph

PARTS = st.sampled_from([*"ab.!?…。！？\"'”’」』)]» \t\u3000\n\r\x1e", "Mr. ", "好", "3.5", "..."])
texts = st.lists(st.lists(PARTS, max_size=12).map("".join), max_size=5)

in_graph = tf.function(sentences_in_graph, input_signature=[tf.TensorSpec([None], tf.string)])


@settings(max_examples=150, deadline=None)
@example(batch=[])
@example(batch=["", " ", "\n\n", "a\x1eb"])
@given(batch=texts)
def test_the_graph_finds_the_same_sentences(batch):
    found = in_graph(tf.constant([text.encode() for text in batch], tf.string)).to_list()
    assert [[one.decode() for one in row] for row in found] == [sentences(text) for text in batch]


@given(batch=texts)
def test_nothing_but_white_space_is_lost(batch):
    for text in batch:
        assert "".join("".join(sentences(text)).split()) == "".join(text.replace("\x1e", " ").split())


def test_chinese_and_english_sentences_end_where_readers_expect_it():
    text = "他说：“你好！”然后走了。天黑了……真的？！ Then e.g. 3.5 km followed (at last!) and ended.\n\nNext line"
    expected = [
        "他说：“你好！”",
        "然后走了。",
        "天黑了……真的？！",
        "Then e.g.",
        "3.5 km followed (at last!)",
        "and ended.",
    ]
    assert sentences(text) == [*expected, "Next line"]
