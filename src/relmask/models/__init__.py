"""Networks: what turns normalised images (N, 3, H, W) into features, novelty, score maps and logits.

The room knows no files but weights, no labels and no relevance.
"""
