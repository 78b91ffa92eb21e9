"""Which pictures train, which validate and which test; groups stay whole."""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from relmask.data.index import Index, Sample, label_text, require_trainable, with_splits
from relmask.data.layouts import split_labels
from relmask.data.names import composed
from relmask.data.problems import listed
from relmask.data.tables import read_table
from relmask.errors import DataError
from relmask.files import write_csv
from relmask.words import counted

SPLITS = ("train", "val", "test")
SHARES: Mapping[str, float] = {"train": 0.60, "val": 0.15, "test": 0.25}
# Groups with several classes may allow no split with all classes everywhere.
_REPAIRS = 100


@dataclass(frozen=True)
class Split:
    """An index whose samples all have a split.

    Attributes:
        index: the samples.
        grouped: no group lies in two splits; if False, test figures are leaky and must say so.
        warnings: what a user should know before trusting the figures.
    """

    index: Index
    grouped: bool
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SplitLine:
    """Line of split.csv: what a run keeps of a sample."""

    labels: frozenset[str]
    group: str
    split: str


def assign(
    index: Index,
    *,
    seed: int = 0,
    resplit: Literal["grouped", "random"] | None = None,
    for_labels: bool = True,
) -> Split:
    """Give every sample a split.

    The splits that DATA states are obeyed; a missing val is drawn from train by group. Without any, or with
    `resplit`, 60/15/25 % of the groups of each class are drawn ("random": of the pictures, whatever their
    group). The draw depends on names, groups, labels and the seed alone. A class with three groups or more
    is in every split (unless pictures with several labels make that impossible, which a warning tells).

    Args:
        index: the samples.
        seed: random seed of the draw.
        resplit: draw anew, whatever DATA states.
        for_labels: refuse labels that nothing can be learned from.

    Raises:
        DataError: nothing to learn, or no training pictures.
    """
    if for_labels:
        require_trainable(index)
    warnings: list[str] = []
    stated = resplit is None and any(sample.split for sample in index.samples)
    if stated:
        result = index
        if not index.part("train"):
            raise DataError(
                f"No picture in {index.root} is in train. Put some there, or draw with --resplit grouped."
            )
        if not index.part("val"):
            result = _draw_val(index, seed)
    else:
        keys = [sample.name if resplit == "random" else sample.group for sample in index.samples]
        drawn = draw(_strata(index, keys), SHARES, seed)
        result = with_splits(index, [drawn[key] for key in keys])
        if len({sample.group for sample in index.samples}) == len(index.samples):
            warnings.append(
                "No groups are known: if one part was photographed twice, its pictures may lie in two splits "
                "and inflate every figure. Name the parts in a group column of index.csv."
            )
    if crossing := crossing_groups(result):
        warnings.append(
            f"{len(crossing)} groups lie in two splits, which inflates every figure:\n"
            f"{listed(crossing)}\nDraw new splits with --resplit grouped."
        )
    warnings += [*_thin_classes(result), *_near_names(index.classes)]
    return Split(result, resplit != "random" and not crossing, tuple(warnings))


def draw(strata: Mapping[str, Collection[str]], shares: Mapping[str, float], seed: int) -> dict[str, str]:
    """Draw a split for each key, so that each stratum is shared out alike.

    Rare strata go first; each of their keys goes where the stratum lacks most. A stratum with as many keys as
    there are splits, or more, gets into all of them where the overlaps allow it.

    Args:
        strata: labels of each key.
        shares: share of the keys that each split should get.
        seed: random seed of the order in which keys are drawn.
    """
    order = sorted(strata, key=lambda key: hashlib.sha256(f"{seed}:{key}".encode()).digest())
    members: dict[str, list[str]] = defaultdict(list)
    for key in order:
        for label in strata[key]:
            members[label].append(key)
    drawn: dict[str, str] = {}
    totals: Counter[str] = Counter()
    for label in sorted(members, key=lambda label: (len(members[label]), label)):
        wanted = {split: share * len(members[label]) for split, share in shares.items()}
        have = Counter(drawn[key] for key in members[label] if key in drawn)
        left = [key for key in members[label] if key not in drawn]
        for number, key in enumerate(left):
            empty = [split for split in shares if not have[split]]
            choice = empty if empty and len(empty) >= len(left) - number else list(shares)
            split = max(choice, key=lambda s: (wanted[s] - have[s], shares[s] * len(strata) - totals[s]))
            drawn[key] = split
            have[split] += 1
            totals[split] += 1
    _repair(drawn, members, tuple(shares))
    return drawn


def _repair(drawn: dict[str, str], members: Mapping[str, Sequence[str]], splits: Sequence[str]) -> None:
    """Move single keys while that brings a stratum into a split that lacks it."""

    def missing() -> list[tuple[str, str]]:
        return [
            (label, split)
            for label, keys in members.items()
            if len(keys) >= len(splits)
            for split in sorted(set(splits) - {drawn[key] for key in keys})
        ]

    for _ in range(_REPAIRS):
        lacking = missing()
        if not any(_move(drawn, key, split, missing) for label, split in lacking for key in members[label]):
            return


def _move(drawn: dict[str, str], key: str, split: str, missing: Callable[[], Sequence[object]]) -> bool:
    before, old = len(missing()), drawn[key]
    drawn[key] = split
    if len(missing()) < before:
        return True
    drawn[key] = old
    return False


def crossing_groups(index: Index) -> list[str]:
    """Groups with pictures in more than one split, each with the splits."""
    splits: dict[str, set[str]] = defaultdict(set)
    for sample in index.samples:
        splits[sample.group].add(sample.split or "")
    return [
        f"{group}: {', '.join(sorted(found))}" for group, found in sorted(splits.items()) if len(found) > 1
    ]


def write_split(split: Split, path: Path) -> None:
    """Write split.csv: name, labels (joined by `|`, empty = clean), group, split."""
    rows = [(s.name, label_text(s.labels), s.group, s.split) for s in split.index.samples]
    write_csv(path, ("name", "labels", "group", "split"), rows)


def read_split(path: Path) -> dict[str, SplitLine]:
    """Lines that `write_split` wrote, by name of the picture.

    Raises:
        DataError: the file is not there, or is not a split.csv.
    """
    return {
        row["name"]: SplitLine(split_labels(row["labels"]), row["group"], row["split"])
        for row in read_table(path, ("name", "labels", "group", "split"), verbatim=True)
    }


def placed(samples: Sequence[Sample], lines: Mapping[str, SplitLine], default: str) -> list[str]:
    """Where a run's pictures and others belong, so that none is judged by what was learned from it.

    Args:
        samples: pictures of any data.
        lines: the run's split.csv by name, which decides for a picture that it knows, in any Unicode form.
        default: split of a picture that nothing places.

    Returns:
        A split for each sample: the run's, by name; else the data's own; else that of the run's pictures of
        the same group, such as patches of a picture ("train", if they lie in several splits); else `default`.
    """
    groups: dict[str, set[str]] = defaultdict(set)
    for line in lines.values():
        groups[line.group].add(line.split)

    by_form = {composed(name): line for name, line in lines.items()}

    def place(sample: Sample) -> str:
        if line := lines.get(sample.name) or by_form.get(composed(sample.name)):
            return line.split
        of_group = groups.get(sample.group, set())
        return sample.split or (
            next(iter(of_group)) if len(of_group) == 1 else "train" if of_group else default
        )

    return [place(sample) for sample in samples]


def _draw_val(index: Index, seed: int) -> Index:
    train = Index(index.root, index.part("train"), index.classes, index.clean)
    total = SHARES["train"] + SHARES["val"]
    strata = _strata(train, [sample.group for sample in train.samples])
    drawn = draw(strata, {split: SHARES[split] / total for split in ("train", "val")}, seed)
    return with_splits(index, [drawn[s.group] if s.split == "train" else s.split for s in index.samples])


def _strata(index: Index, keys: Sequence[str]) -> dict[str, frozenset[str]]:
    """Labels of all the pictures of each key; a clean picture counts as the label of the clean class."""
    strata: dict[str, frozenset[str]] = {}
    for key, sample in zip(keys, index.samples, strict=True):
        strata[key] = strata.get(key, frozenset()) | _strata_of(sample, index.clean)
    return strata


def _strata_of(sample: Sample, clean: str | None) -> frozenset[str]:
    return sample.labels or frozenset({clean or ""})


def _thin_classes(index: Index) -> list[str]:
    """A warning for every class that a split lacks, and why."""
    groups: dict[str, dict[str, set[str]]] = defaultdict(lambda: {split: set() for split in SPLITS})
    for sample in index.samples:
        for label in _strata_of(sample, index.clean):
            groups[label][sample.split or "train"].add(sample.group)
    consequence = {
        "train": "it cannot be learned",
        "val": "its thresholds come from training pictures",
        "test": "nothing can be said about it",
    }
    warnings = []
    for label, found in sorted(groups.items()):
        if lacking := [split for split in SPLITS if not found[split]]:
            count = len(set.union(*found.values()))
            effects = "; ".join(f"none in {split}: {consequence[split]}" for split in lacking)
            warnings.append(f"{label} has {counted(count, 'group')}; {effects}.")
    return warnings


def _near_names(classes: Sequence[str]) -> list[str]:
    """A warning for names that differ in case, spaces or their Unicode form only."""
    spelt: dict[str, list[str]] = {}
    for name in classes:
        spelt.setdefault("".join(composed(name).casefold().split()), []).append(name)
    return [
        f"{' and '.join(names)} count as {len(names)} classes"
        + (
            ", since some letters are in different Unicode forms"
            * (len(set(map(composed, names))) < len(names))
        )
        + ". If they mean the same, spell them alike."
        for names in spelt.values()
        if len(names) > 1
    ]
