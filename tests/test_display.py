import html.parser

from lmkeras.display import aligned, cells_of, described, html_facts, html_table


class Cells(html.parser.HTMLParser):
    """The texts of a page's cells, by row."""

    def __init__(self, page):
        super().__init__()
        self.rows, self.open = [], []
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("th", "td"):
            self.rows[-1].append("")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open[-1] in ("th", "td"):
            self.rows[-1][-1] += data


def test_columns_end_in_the_same_cell():
    table = aligned([["", "F1"], ["好评", "0.5"], ["bad", "0.25"]])
    assert {cells_of(line) for line in table.splitlines()} == {10}


def test_html_gives_back_what_was_put_in():
    rows = [["label", "<i>"], ['差评 & "bad"', "<script>alert(1)</script>"]]
    page = html_table(rows, caption="<caption>")
    assert Cells(page).rows == rows
    assert "<script" not in page
    assert "<i>" not in page


def test_facts():
    facts = {"labels": ["ham", "spam"], "parameters": 12000, "tokenizer": None}
    assert described("Model", facts) == "Model(labels=[ham, spam], parameters=12,000)"
    assert Cells(html_facts("Model", facts)).rows == [["labels", "[ham, spam]"], ["parameters", "12,000"]]
