"""Classifiers whose relevance comes from elsewhere than from their own rules."""

from relmask.inference.explained import ExplainedClassifier


class SubstitutedRelevance(ExplainedClassifier):
    """Scores as a classifier does; subclasses say in `attribute` how it is explained.

    Args:
        classifier: what scores; its network is shared.
    """

    def __init__(self, classifier: ExplainedClassifier) -> None:
        super().__init__(
            classifier.network,
            classifier.spec,
            classifier.composite,
            classifier.device,
            classifier.batch_size,
        )
