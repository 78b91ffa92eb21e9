"""Takes relevance and thresholds, gives masks and their components. Knows no networks.

`thresholds` are the records of a run and `binarise` applies them, after `refinement`, `growth` and
`propagation`.
"""
