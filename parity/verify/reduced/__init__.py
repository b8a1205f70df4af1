"""The smallest LSTM that shows a failure, as a script."""

from parity.verify.reduced.search import (
    Reduced as Reduced,
    reduce as reduce,
    reduce_failure as reduce_failure,
)
