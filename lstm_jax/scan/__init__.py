"""One layer over time: the equations arranged for speed, and their derivatives."""
