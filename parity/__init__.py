"""Torch's LSTM weights in JAX and back, and proof that both are the same LSTM."""

from parity.convert.find import Found as Found, find_lstms as find_lstms
from parity.files.kinds.safetensors import write_tensors as write_tensors
from parity.files.read import read_tensors as read_tensors
from parity.frameworks.kinds.flax_source import from_flax as from_flax
from parity.frameworks.kinds.flax_target import to_flax as to_flax
from parity.frameworks.kinds.torch import from_torch as from_torch, to_torch as to_torch
from parity.frameworks.losses import losses as losses
from parity.report.report import Report as Report, Row as Row
from parity.verify.verify import (
    DTYPES as DTYPES,
    check as check,
    check_case as check_case,
)
