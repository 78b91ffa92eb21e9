"""Takes relevance and thresholds, gives masks and their components. Knows no networks.

`support` is the one rule that turns relevance into what masks are cut from, with the constants of `settings`;
`thresholds` are the records of a run, `gates` chooses which image may get a mask, and `binarise` cuts it.
"""
