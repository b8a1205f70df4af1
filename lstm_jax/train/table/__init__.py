"""From a table to series, and from series to the windows that a model is trained on."""
