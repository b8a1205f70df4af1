"""One layer over time: the equations restated for speed, and their derivatives."""
