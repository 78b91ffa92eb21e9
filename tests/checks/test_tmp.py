from tests.checks.test_check import *


def test_x(trained, parts):
    for level in (0.4, 0.6, 0.7, 0.8):
        for seed in (0, 50, 100):
            found = judged(completed(trained, level, anomalous=None), parts, seed=seed)
            print(
                level,
                seed,
                [
                    (f.name, f.passed, round(f.figure, 2))
                    for f in found.findings
                    if f.name in ("head", "layers", "area", "weights")
                ],
                [(a.label, a.mask, a.added, round(a.independent)) for a in found.areas],
            )
    for seed in (0, 50, 100):
        found = judged(trained, parts, seed=seed)
        print(seed, [(f.name, f.passed, round(f.figure, 2)) for f in found.findings])
