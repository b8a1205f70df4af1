"""Torch's LSTM weights in JAX and back, and proof that both are the same LSTM."""

from parity.check import check as check
from parity.check import check_case as check_case
from parity.convert.files import (
    read_tensors as read_tensors,
)
from parity.convert.files import (
    write_tensors as write_tensors,
)
from parity.convert.find import Found as Found
from parity.convert.find import find_lstms as find_lstms
from parity.convert.torch import from_torch as from_torch
from parity.convert.torch import to_torch as to_torch
from parity.report import Report as Report
from parity.report import Row as Row
