"""The figures that the README shows: masks from image-level labels, measured on real data.

    python benchmarks/quality.py ../shared/data -o runs/quality --seed 0 --part crackforest --part tile

Each part trains, segments and evaluates; thresholds never see a mask, but for the parts that end in -unet. A
student learns from the run of its part, which is measured first. A finished part is read from its
`result.json` when the same command is given again. Every figure is printed as one JSON line.
"""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import relmask
from relmask.data.index import read_index
from relmask.data.patches import cut_patches
from relmask.evaluation.evaluate import evaluate_index
from relmask.files import write_json
from relmask.progress import Progress
from relmask.training.unet import fit_unet

PATCH = 96
EPOCHS = 20
"""Of the U-Net, as of the classifier from scratch."""


def crackforest(data: Path, out: Path, seed: int, progress: Progress) -> dict[str, Any]:
    """Patches of the training images, labelled crack or not; judged on whole test images."""
    patches = out.parent / "crackforest-patches"
    cut_patches(data / "crackforest", patches, PATCH, stride=PATCH // 2, progress=progress)
    return _trained_and_judged(
        patches,
        data / "crackforest",
        out,
        progress,
        backbone="vgg-narrow",
        seed=seed,
        batch_size=32,
        precision="bf16-mixed",
    )


def tile(data: Path, out: Path, seed: int, progress: Progress) -> dict[str, Any]:
    """Whole pictures of magnetic tiles in the data's own grouped split."""
    folder = data / "magnetic-tile"
    return _trained_and_judged(folder, folder, out, progress, seed=seed)


def tile_random(data: Path, out: Path, seed: int, progress: Progress) -> dict[str, Any]:
    """The same pictures in a random split: the same tile on both sides, as published figures have it."""
    folder = data / "magnetic-tile"
    return _trained_and_judged(folder, folder, out, progress, seed=seed, resplit="random")


def tile_resplit(data: Path, out: Path, seed: int, progress: Progress) -> dict[str, Any]:
    """The same pictures in another grouped split, which the seed draws."""
    folder = data / "magnetic-tile"
    return _trained_and_judged(folder, folder, out, progress, seed=seed, resplit="grouped")


def crackforest_student(data: Path, out: Path, seed: int, progress: Progress) -> dict[str, Any]:
    """The student of `crackforest`, learned from its masks of the same patches."""
    teacher = out.with_name(f"crackforest-{seed}")
    return _distilled_and_judged(
        teacher, out.parent / "crackforest-patches", data / "crackforest", out, seed, progress
    )


def tile_student(data: Path, out: Path, seed: int, progress: Progress) -> dict[str, Any]:
    """The student of `tile`."""
    folder = data / "magnetic-tile"
    return _distilled_and_judged(out.with_name(f"tile-{seed}"), folder, folder, out, seed, progress)


def crackforest_unet(data: Path, out: Path, seed: int, progress: Progress) -> dict[str, Any]:
    """A U-Net that is trained on the true masks of the whole training images, seen through windows."""
    return _unet_and_judged(
        data / "crackforest",
        out,
        progress,
        backbone="vgg-narrow",
        size=PATCH,
        windows=True,
        epochs=EPOCHS,
        batch_size=32,
        seed=seed,
    )


def tile_unet(data: Path, out: Path, seed: int, progress: Progress) -> dict[str, Any]:
    """A U-Net that is trained on true masks, in the split of `tile`."""
    return _unet_and_judged(data / "magnetic-tile", out, progress, seed=seed)


PARTS: dict[str, Callable[[Path, Path, int, Progress], dict[str, Any]]] = {
    "crackforest": crackforest,
    "tile": tile,
    "tile-random": tile_random,
    "tile-resplit": tile_resplit,
    "crackforest-student": crackforest_student,
    "tile-student": tile_student,
    "crackforest-unet": crackforest_unet,
    "tile-unet": tile_unet,
}


def _distilled_and_judged(
    teacher: Path, data: Path, whole: Path, out: Path, seed: int, progress: Progress
) -> dict[str, Any]:
    if not (teacher / "run").exists():
        raise SystemExit(f"No run in {teacher} to learn from: measure that part first.")
    begun = time.perf_counter()
    run = relmask.load(teacher / "run")
    resume = (out / "run").exists()
    student = relmask.distil(run, data, out / "run", seed=seed, resume=resume, progress=progress)
    return _judged(student, whole, out, begun, progress)


def _unet_and_judged(
    data: Path,
    out: Path,
    progress: Progress,
    **choices: Any,  # noqa: ANN401 - of fit_unet
) -> dict[str, Any]:
    begun = time.perf_counter()
    run = fit_unet(data, out / "run", resume=(out / "run").exists(), progress=progress, **choices)
    return _judged(run, data, out, begun, progress)


def _trained_and_judged(
    data: Path,
    whole: Path,
    out: Path,
    progress: Progress,
    **choices: Any,  # noqa: ANN401 - of train
) -> dict[str, Any]:
    begun = time.perf_counter()
    run = relmask.train(data, out / "run", resume=(out / "run").exists(), progress=progress, **choices)
    return _judged(run, whole, out, begun, progress)


def _judged(run: relmask.Run, whole: Path, out: Path, begun: float, progress: Progress) -> dict[str, Any]:
    seconds = time.perf_counter() - begun
    metrics = evaluate_index(run, read_index(whole), "test", out / "evaluation", progress=progress)
    return {"train_seconds": round(seconds), **metrics.model_dump(mode="json")}


def figures(part: str, seed: int, result: dict[str, Any]) -> list[dict[str, Any]]:
    """One record a figure."""
    values = {f"pixel_{name}": value for name, value in result["pixel"].items()}
    values |= {f"{name}_iou": scores["iou"] for name, scores in result["per_class"].items()}
    values |= {
        "mean_iou": result["mean_iou"],
        "image_auroc": result["image"]["auroc"],
        "clean_empty_share": result["clean"]["empty_share"],
        "train_seconds": result["train_seconds"],
        "seconds_per_image": result["seconds_per_image"],
    }
    return [
        {"part": part, "seed": seed, "figure": name, "value": value, "commit": result["commit"]}
        for name, value in values.items()
    ]


def commit() -> str:
    """Hash of the commit that is measured, marked where files differ from it."""
    describe = ["git", "describe", "--always", "--dirty", "--abbrev=12"]
    said = subprocess.run(describe, cwd=Path(__file__).parent, capture_output=True, text=True, check=True)
    return said.stdout.strip()


def main() -> None:
    """Measure what is asked and not measured yet."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path, help="folder that holds crackforest/ and magnetic-tile/")
    parser.add_argument("-o", "--out", type=Path, default=Path("runs/quality"))
    parser.add_argument("--seed", type=int, action="append", help="may be given several times")
    parser.add_argument("--part", choices=PARTS, action="append", help="may be given several times")
    given = parser.parse_args()

    def progress(task: str, done: int, total: int, note: str = "") -> None:
        print(
            f"\r{task} {done}/{total} {note}   ",
            end="" if done < total else "\n",
            flush=True,
            file=sys.stderr,
        )

    for seed in given.seed or [0, 1]:
        for part in given.part or PARTS:
            out = given.out / f"{part}-{seed}"
            cached = out / "result.json"
            if not cached.exists():
                result = PARTS[part](given.data, out, seed, progress)
                write_json(cached, {**result, "commit": commit()})
            for figure in figures(part, seed, json.loads(cached.read_text(encoding="utf-8"))):
                print(json.dumps(figure), flush=True)


if __name__ == "__main__":
    main()
