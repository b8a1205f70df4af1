"""The public boundary's errors, one sentence each.

Each reads `where: {value=} must be {expected}: {who says so}. {cure}`. Everything
wrong with a set of parameters is listed at once, sorted.
"""

from lstm_jax._checks.arrays import (
    as_array as as_array,
    check_carry as check_carry,
    check_holes as check_holes,
    check_input as check_input,
    check_inputs as check_inputs,
    check_last_step as check_last_step,
    check_lengths as check_lengths,
    check_mask as check_mask,
    check_reset_state as check_reset_state,
    check_resets as check_resets,
    check_state as check_state,
    check_token_rows as check_token_rows,
    check_tokens as check_tokens,
    floating as floating,
    no_cell as no_cell,
    shape as shape,
)
from lstm_jax._checks.carries import (
    check_carry_sizes as check_carry_sizes,
    check_one_array as check_one_array,
    check_width as check_width,
    check_with_done as check_with_done,
    hidden_size_of as hidden_size_of,
)
from lstm_jax._checks.options import (
    check_batch_shape as check_batch_shape,
    check_choice as check_choice,
    check_dropout as check_dropout,
    check_flag as check_flag,
    check_key as check_key,
    check_known as check_known,
    check_no_mean as check_no_mean,
    check_rate as check_rate,
    check_real as check_real,
    check_remat as check_remat,
    check_size as check_size,
    check_sizes as check_sizes,
    check_steppable as check_steppable,
    check_truncate as check_truncate,
    common_dtype as common_dtype,
    dtype as dtype,
    precision as precision,
)
from lstm_jax._checks.params import (
    check_exact as check_exact,
    check_params as check_params,
    check_step as check_step,
    has_gate_axis as has_gate_axis,
    read_cell_spec as read_cell_spec,
    read_exact as read_exact,
    read_params as read_params,
    read_shaped as read_shaped,
    read_spec as read_spec,
    refuse_keys as refuse_keys,
)
from lstm_jax._checks.recorded import (
    check_rollout as check_rollout,
    check_same_shapes as check_same_shapes,
)
from lstm_jax._checks.traced import check_layer as check_layer, check_row as check_row
