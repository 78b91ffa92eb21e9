"""Painted pictures with exact masks: what the demo, the worked examples and the tests look at."""
