"""LSTM weights from every framework to every other, and proof that they are equal."""

from parity.convert.find import Found as Found, find_lstms as find_lstms
from parity.convert.keras.source import from_keras as from_keras
from parity.convert.keras.target import to_keras as to_keras
from parity.convert.onnx.lint import onnx_lint as onnx_lint
from parity.convert.onnx.source import from_onnx as from_onnx
from parity.convert.onnx.target import to_onnx as to_onnx
from parity.files.kinds.safetensors import write_tensors as write_tensors
from parity.files.read import read_tensors as read_tensors
from parity.frameworks.kinds.cudnn import from_cudnn as from_cudnn, to_cudnn as to_cudnn
from parity.frameworks.kinds.equinox import (
    from_equinox as from_equinox,
    to_equinox as to_equinox,
)
from parity.frameworks.kinds.flax_source import from_flax as from_flax
from parity.frameworks.kinds.flax_target import to_flax as to_flax
from parity.frameworks.kinds.haiku import from_haiku as from_haiku, to_haiku as to_haiku
from parity.frameworks.kinds.mlx import from_mlx as from_mlx, to_mlx as to_mlx
from parity.frameworks.kinds.torch import from_torch as from_torch, to_torch as to_torch
from parity.frameworks.losses import losses as losses
from parity.report.report import Report as Report, Row as Row
from parity.training.check import check_training as check_training
from parity.training.report import TrainingReport as TrainingReport
from parity.verify.compare import check_case as check_case
from parity.verify.given import DTYPES as DTYPES
from parity.verify.reduced import reduce_failure as reduce_failure
from parity.verify.saved import check_against as check_against
from parity.verify.verify import check as check
