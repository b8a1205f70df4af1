"""What is right, and how far a result is from it: cases, the oracle, the tolerance."""
