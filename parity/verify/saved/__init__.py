"""Checks kept in a file: the problem, the exact values, and what each side gave."""

from parity.verify.saved.against import (
    check_against as check_against,
    compare_saved as compare_saved,
)
from parity.verify.saved.golden import Golden as Golden
from parity.verify.saved.reading import read as read
from parity.verify.saved.writing import golden_of as golden_of, write as write
