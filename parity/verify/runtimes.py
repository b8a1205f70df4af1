"""The runtime of a file itself beside JAX and torch: onnxruntime for ONNX."""

from dataclasses import replace
from typing import Any

from parity.convert.found import Found
from parity.convert.onnx.contents import stack_at
from parity.convert.onnx.runtime import run_nodes, runs_here, version
from parity.files.read import Contents
from parity.judge.cases import Case
from parity.judge.exact import of_oracle
from parity.report.report import Report
from parity.report.rows import Row


def with_runtime(report: Report, contents: Contents, one: Found, dtype: str) -> Report:
    """The report with rows of the file's own runtime, where there is one here.

    The nodes of the file run as they are, from inputs and a state that are drawn; the
    exact values are the oracle's, of the weights that were read.
    """
    if contents.format.name != "onnx" or dtype != "float32":
        return report
    nodes = stack_at(contents, one.prefix)
    if not nodes or not runs_here(nodes):
        return report
    case = Case.of(one.spec, name="onnxruntime", dtype=dtype)
    params: Any = one.lstm_params
    problem = case.draw(params)
    exact = of_oracle(problem)
    made = run_nodes(nodes, problem.xs, *(problem.state or ()))
    rows = [
        Row(
            f"onnxruntime {name}",
            "",
            case.distance(name, value, exact[name, ""]),
            None,
            case.budget,
        )
        for name, value in zip(("ys", "h_n", "c_n"), made, strict=True)
    ]
    facts = {**report.facts, "onnxruntime": version()}
    return replace(report, rows=[*report.rows, *rows], facts=facts)
