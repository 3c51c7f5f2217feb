import json

import lmkeras


def test_fit_in_python_keeps_what_was_asked(tmp_path):
    texts = ["the cat sat on the mat. " * 20]
    model = lmkeras.LanguageModel("lstm", "characters", units=8, embedding_dim=4)
    how = {"window_length": 8, "verbose": 0, "tensorboard": False}
    model.fit(texts, steps=2, run_folder=tmp_path, **how)
    kept = json.loads((tmp_path / "settings.json").read_text(encoding="utf-8"))
    asked = {"network": "lstm", "tokenizer": "characters", "units": 8, "steps": 2, "window_length": 8}
    assert asked.items() <= kept["settings"].items()
    acting = {"optimizer": "adamw", "learning_rate": 0.003, "parameters": model.network.count_params()}
    lengths = {"epochs": None, "steps": 2, "minutes": None, "batch_size": 32}
    assert kept["acting"] == {"network": "lstm", **lengths, **acting}
    assert kept["version"] == lmkeras.__version__
    assert kept["seconds"] > 0
    before = kept["seconds"]
    model.fit(texts, steps=2, run_folder=tmp_path, resume=True, **how)
    assert json.loads((tmp_path / "settings.json").read_text(encoding="utf-8"))["seconds"] >= before
