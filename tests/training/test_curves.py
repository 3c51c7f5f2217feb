import json

import matplotlib.image

from lmkeras.training.curves import draw_curves


def lines_to(path, lines):
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))


def test_curves_show_both_losses(tmp_path):
    lines_to(tmp_path / "one.jsonl", [{"step": i, "loss": 3 - i} for i in range(3)])
    lines_to(tmp_path / "two.jsonl", [{"step": i, "loss": 3 - i, "val_loss": 4 - i} for i in range(3)])
    colours = {}
    for name in ("one", "two"):
        draw_curves(tmp_path / f"{name}.jsonl", tmp_path / f"{name}.png")
        pixels = (matplotlib.image.imread(tmp_path / f"{name}.png")[..., :3] * 255).round().astype(int)
        colours[name] = {tuple(pixel) for pixel in pixels.reshape(-1, 3)}
    blue, orange = (31, 119, 180), (255, 127, 14)  # matplotlib's first two colours
    assert blue in colours["one"] & colours["two"]
    assert orange in colours["two"] - colours["one"]


def test_no_evaluation_no_picture(tmp_path):
    (tmp_path / "metrics.jsonl").write_text("")
    draw_curves(tmp_path / "metrics.jsonl", tmp_path / "curves.png")
    assert not (tmp_path / "curves.png").exists()
