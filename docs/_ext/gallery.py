"""Two reports of the check, made while the site is built."""

from pathlib import Path

import numpy as np
import torch
from sphinx.application import Sphinx

import parity


def write(app: Sphinx) -> None:
    """Write the page of a passing check, and of one with the gates in ONNX's order."""
    folder = Path(app.outdir) / "gallery"
    folder.mkdir(parents=True, exist_ok=True)
    _ = torch.manual_seed(0)
    lstm = torch.nn.LSTM(5, 4, num_layers=2, bidirectional=True)
    right = {name: array.numpy() for name, array in lstm.state_dict().items()}
    blocks = {name: np.split(array, 4) for name, array in right.items()}
    onnx = {name: np.concatenate([i, o, f, g]) for name, (i, f, g, o) in blocks.items()}
    reports = {"passing": parity.check(lstm), "failing": parity.check(right, onnx)}
    for name, report in reports.items():
        page = folder / f"{name}.html"
        _ = page.write_text(report.to_html(), encoding="utf-8")


def setup(app: Sphinx) -> dict[str, bool]:
    """Write the reports into the built site."""
    _ = app.connect("builder-inited", write)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
