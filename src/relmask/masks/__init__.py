"""Takes relevance and labels, gives thresholds, masks and their components. Knows no networks."""
