"""That training is torch's: the same model, batches and optimizer, step by step."""
