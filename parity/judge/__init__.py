"""What is right, and how far from it: cases, the oracle, the tolerance."""
