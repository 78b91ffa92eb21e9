"""Networks: backbones, features, novelty, pooling. Images in, features and logits out; no files but weights."""
