"""The verb rewrite, and what train and evaluate do for sequence to sequence."""

import json

import lmkeras
from lmkeras.cli import main
from tests.tasks.test_seq2seq import SIZES, pairs


def test_a_model_of_the_other_direction_reads_the_other_column(tmp_path, capsys):
    model = lmkeras.Seq2SeqModel("transformer", "characters", reverse=True, **SIZES)
    model.fit(pairs(), steps=2, verbose=0, validation_fraction=0)
    model.save(tmp_path / "run")
    file = tmp_path / "texts.jsonl"
    file.write_text(json.dumps({"source": "dog", "target": "狗", "text": "猫"}) + "\n", encoding="utf-8")
    for column, text in (([], "狗"), (["--text-column", "text"], "猫"), (["--text-column", "source"], "dog")):
        assert main(["rewrite", str(tmp_path / "run"), "--text", str(file), "--json", *column]) == 0
        assert json.loads(capsys.readouterr().out.splitlines()[-1])["written"] == model.rewrite(text)
    assert model.rewrite({"source": ["dog"], "target": ["狗"]}) == [model.rewrite("狗")]


def test_the_command_line_trains_judges_and_rewrites(tmp_path, capsys):
    with (tmp_path / "pairs.jsonl").open("w", encoding="utf-8") as file:
        for source, target in pairs():
            file.write(json.dumps({"en": source, "zh": target}) + "\n")
    run, columns = str(tmp_path / "run"), ["--source-column", "en", "--target-column", "zh"]
    text = ["--text", str(tmp_path / "pairs.jsonl")]
    sizes = ["--network", "transformer", "--d-model", "32", "--num-heads", "2", "--num-layers", "1"]
    assert main(["train", "seq2seq", *text, *columns, "--output", run, *sizes, "--steps", "6", "--quiet"]) == 0
    assert main(["evaluate", run, *text, *columns, "--num-beams", "2", "--json"]) == 0
    assert {"perplexity", "bleu", "chrf", "rouge_l"} <= set(json.loads(capsys.readouterr().out.splitlines()[-1]))
    assert main(["rewrite", run, "cat sees dog", "dog", "--max-new-tokens", "4"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 2
    output = tmp_path / "out.jsonl"
    assert main(["rewrite", run, *text, "--text-column", "en", "--output", str(output), "--num-best", "2"]) == 0
    rows = [json.loads(line) for line in output.read_text(encoding="utf-8").splitlines()]
    assert len(rows) == 240
    assert {"en", "zh", "written", "score"} <= set(rows[0])
    capsys.readouterr()
    assert main(["rewrite", run, "dog", "--num-best", "9"]) == 2
    assert "--num-beams" in capsys.readouterr().err
    assert main(["predict", run, "dog"]) == 0
