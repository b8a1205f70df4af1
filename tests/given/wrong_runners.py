"""Runners that are wrong, each in one way: what a benchmark must never time."""

import os
from dataclasses import replace
from functools import partial

import numpy as np

from parity.bench.peers import ours
from parity.bench.program import Program
from parity.bench.settings import Settings
from parity.bench.works import Work
from parity.judge.cases import Problem


def build(work: Work, problem: Problem, settings: Settings, *, mistake: str) -> Program:
    if mistake == "raises":
        raise OverflowError("the first line\nand a second")
    if mistake == "dies":
        os._exit(7)
    program = ours.build(work, problem, settings)
    if mistake == "gradient":
        return replace(program, values=partial(_scaled, program))
    if mistake == "dies later":
        return replace(program, call=partial(_last, program, [20]))
    return program


def _scaled(program: Program, problem: Problem) -> dict[str, np.ndarray]:
    found = dict(program.values(problem))
    found["d_weight_hh_l0"] = found["d_weight_hh_l0"] * np.float32(1.01)
    return found


def _last(program: Program, left: list[int]) -> object:
    left[0] -= 1
    if left[0] < 0:
        os._exit(9)
    return program.call()
