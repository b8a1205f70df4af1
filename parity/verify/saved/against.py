"""A golden file against this machine: its device, its versions, its function."""

from dataclasses import replace
from os import PathLike
from typing import Any

import numpy as np

import lstm_jax
from parity.judge.tensors import Array, Run
from parity.report.report import Report
from parity.verify.compare import Reference, compare_with
from parity.verify.compared import Compared
from parity.verify.conditions import Conditions
from parity.verify.given import check_precision, checked_device
from parity.verify.saved.golden import Golden
from parity.verify.saved.reading import read

_NO_TORCH = "torch was not run where the file was saved"


def check_against(
    path: str | PathLike[str],
    *,
    run: Run = lstm_jax.lstm,
    precision: str = "highest",
    device: Any = None,
) -> list[Report]:
    """Judge JAX, as it is here, by checks that were saved elsewhere.

    Nothing but JAX runs: the exact values, and what torch gave, are those of the file.

    Args:
        path: What `python -m parity check --save` wrote.
        run: The function that is checked, as in `check`.
        precision: Of JAX's products.
        device: The JAX device, or its kind; None means the default one.

    Returns:
        A report for each check of the file. Its `facts` hold `saved`, what the file was
        made by, and `saved_jax`, the largest difference to what JAX gave there.

    Raises:
        ValueError: If it is no golden file, or `precision` or `device` do not fit.
    """
    check_precision(precision)
    device = checked_device(device)
    conditions = Conditions(run=run, precision=precision, device=device)
    return [compare_saved(golden, conditions) for golden in read(path)]


def compare_saved(golden: Golden, conditions: Conditions) -> Report:
    """One check of a golden file, with JAX run again."""
    kept: list[Compared] = []
    torch = golden.sides.get("torch", {})
    values = Reference(golden.exact, torch, "" if torch else _NO_TORCH)
    report = compare_with(
        lambda: values,
        golden.case,
        golden.problem,
        golden.given,
        replace(conditions, keep=kept.append),
    )
    conditions.keep(kept[0])
    made = ", ".join(f"{name} {value}" for name, value in golden.facts.items())
    facts = {"saved": made, "saved_jax": _difference(golden, kept[0])}
    return replace(report, facts=report.facts | facts)


def _difference(golden: Golden, compared: Compared) -> float:
    """How far JAX's numbers are from those it gave where the file was saved."""
    before = golden.sides.get("jax", {})
    now = {key: one.value for key, one in compared.actual.items()}
    if before.keys() != now.keys():
        return np.inf
    return max((_far(before[key], now[key]) for key in before), default=0.0)


def _far(before: Array, now: Array) -> float:
    if before.shape != now.shape:
        return np.inf
    pair = (array.astype(np.float64) for array in (before, now))
    far = float(np.abs(np.subtract(*pair)).max(initial=0))
    return np.inf if np.isnan(far) else far
