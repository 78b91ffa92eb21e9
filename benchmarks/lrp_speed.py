"""How fast relmask's LRP is, beside a plain forward pass and the peers that can be imported.

All in one process and alternating, so that a busy machine slows all alike; figures are medians of ratios to
the plain forward pass of the same round. One JSON line a figure. Biases are zero, since captum gives them
another meaning, and images are not negative. `difference` is the largest one to the map of relmask, eager,
with the same rules, relative to its largest relevance.

    python benchmarks/lrp_speed.py --networks vgg11 --batches 1 8 --threads 1 2
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import Tensor, nn

from memory_meter import peak
from relmask.lrp import AlphaBeta, Composite, Epsilon, Explainer, Rule, compile, kind
from relmask.lrp.composites import epsilon_alpha2_beta1, epsilon_gamma_box, epsilon_plus
from relmask.models import zoo

NETWORKS = ("vgg11", "vgg16", "resnet18", "resnet50", "efficientnet-lite0")
LOW, HIGH = 0.0, 1.0
EPSILON = Composite("epsilon", ((kind("convolution"), Epsilon()), (kind("linear"), Epsilon())))
ALPHA1 = Composite(
    "alpha1_beta0", ((kind("convolution"), AlphaBeta(1, 0)), (kind("linear"), AlphaBeta(1, 0)))
)


def everywhere(name: str, rule: Rule) -> Composite:
    return Composite(name, ((kind("convolution"), rule), (kind("linear"), rule)))


COMPOSITES = {
    "epsilon": everywhere("epsilon", Epsilon(1e-6)),
    "alpha1_beta0": everywhere("alpha1_beta0", AlphaBeta(1, 0)),
    "epsilon_plus": epsilon_plus(),
    "epsilon_gamma_box": epsilon_gamma_box(LOW, HIGH),
    "epsilon_alpha2_beta1": epsilon_alpha2_beta1(),
}
Run = Callable[[], Tensor]


@dataclass(frozen=True)
class Way:
    """One way to the relevance of class 0.

    Args:
        tool: who.
        rules: what, by relmask's names.
        run: images' relevance.
        oracle: name of relmask's composite that should give the same map.
    """

    tool: str
    rules: str
    run: Run
    oracle: str | None = None


def relmask(model: nn.Module, images: Tensor, composite: Composite, how: str) -> Run:
    explainer = compile(model, images, composite, sizes=False)
    target = torch.zeros(len(images), dtype=torch.long, device=images.device)
    if how == "onnx":
        return onnx(explainer, images)
    if how == "compile":
        explainer.compile()

    def explained() -> Tensor:
        with torch.inference_mode():
            relevance: Tensor = explainer(images, target)[1]
            return relevance

    return explained


class OfClass(nn.Module):
    """The explanation of class 0, with nothing to choose, for export."""

    def __init__(self, explainer: Explainer) -> None:
        super().__init__()
        self.explainer = explainer

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Logits and relevance."""
        logits, relevance = self.explainer(images, 0)
        return logits, relevance


def onnx(explainer: Explainer, images: Tensor) -> Run:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        path = Path(folder) / "explainer.onnx"
        program = torch.onnx.export(OfClass(explainer), (images,), dynamo=True, verbose=False)
        assert program is not None
        program.save(path)
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda: torch.from_numpy(session.run(None, {name: images.numpy()})[1])


def gradient_x_input(model: nn.Module, images: Tensor) -> Tensor:
    leaf = images.clone().requires_grad_()
    return images * torch.autograd.grad(model(leaf)[:, 0].sum(), leaf)[0]


def captum(model: nn.Module, images: Tensor, rule: str) -> Tensor:
    from captum.attr import LRP
    from captum.attr._utils.lrp_rules import Alpha1_Beta0_Rule, EpsilonRule

    rules = {"epsilon": partial(EpsilonRule, 1e-6), "alpha1_beta0": Alpha1_Beta0_Rule}
    for layer in model.modules():
        weighted = isinstance(layer, nn.Conv2d | nn.Linear)
        layer.rule = rules[rule if weighted else "epsilon"]()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        relevance: Tensor = LRP(model).attribute(images, target=0)
        return relevance


def zennit(model: nn.Module, images: Tensor, rules: str) -> Tensor:
    from zennit.attribution import Gradient
    from zennit.composites import EpsilonAlpha2Beta1, EpsilonGammaBox, EpsilonPlus

    made = {
        "epsilon_plus": EpsilonPlus,
        "epsilon_alpha2_beta1": EpsilonAlpha2Beta1,
        "epsilon_gamma_box": partial(
            EpsilonGammaBox, torch.full_like(images[:1], LOW), torch.full_like(images[:1], HIGH)
        ),
    }[rules]()
    with Gradient(model=model, composite=made) as attributor:
        logits = model(images)
        start = torch.zeros_like(logits)
        start[:, 0] = logits[:, 0]
        relevance: Tensor = attributor(images, start.detach())[1]
        return relevance


def ways(model: nn.Module, images: Tensor, hows: list[str]) -> Iterator[Way]:
    for name, composite in COMPOSITES.items():
        for how in hows:
            tool = f"relmask, {how}"
            try:
                yield Way(tool, name, relmask(model, images, composite, how))
            except Exception as error:  # another machine's exporter
                print(f"{tool}, {name}: {error}", file=sys.stderr)
    yield Way("autograd", "gradient x input", lambda: gradient_x_input(model, images), "epsilon")
    if find_spec("captum"):
        for rule in ("epsilon", "alpha1_beta0"):
            yield Way("captum", rule, partial(captum, model, images, rule), rule)
    if find_spec("zennit") and find_spec("torchvision"):
        for name in ("epsilon_plus", "epsilon_alpha2_beta1", "epsilon_gamma_box"):
            yield Way("zennit", name, partial(zennit, model, images, name), name)


def seconds(run: Callable[[], object]) -> float:
    begun = time.perf_counter()
    run()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - begun


def measure(
    name: str, batch: int, threads: int, rounds: int, hows: list[str], device: str
) -> Iterator[dict[str, object]]:
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    torch.compiler.reset()  # else it gives up after some networks, and runs them eagerly
    model = zoo.classifier(name, 1000).to(device).requires_grad_(False)
    for path, parameter in model.named_parameters():
        if path.endswith("bias"):
            nn.init.zeros_(parameter)
    images = torch.rand(batch, 3, 224, 224, device=device) * (HIGH - LOW) + LOW

    def plain() -> Tensor:
        with torch.inference_mode():
            logits: Tensor = model(images)
            return logits

    maps: dict[str, Tensor] = {}
    runs: list[Way] = []
    facts: list[dict[str, object]] = []
    for way in ways(model, images, hows):
        try:
            relevance = way.run().detach()
        except Exception as error:  # a peer that cannot run this network
            print(
                json.dumps({"network": name, "tool": way.tool, "rules": way.rules, "error": str(error)[:200]})
            )
            continue
        maps.setdefault(way.rules, relevance)
        reference = maps.get(way.oracle or way.rules)
        assert reference is not None
        difference = float((relevance - reference).abs().max() / reference.abs().max())
        runs.append(way)
        facts.append({"difference": difference, "peak_mb": megabytes(way)})
    times: list[list[float]] = [[] for _ in runs]
    forward = []
    plain()
    for _ in range(rounds):
        base = seconds(plain)
        forward.append(base)
        for way, taken in zip(runs, times, strict=True):
            taken.append(seconds(way.run) / base)
    common = {"network": name, "batch": batch, "threads": threads, "device": device}
    yield {**common, "tool": "plain forward", "seconds": statistics.median(forward)}
    for way, fact, taken in zip(runs, facts, times, strict=True):
        ratio = round(statistics.median(taken), 2)
        yield {**common, "tool": way.tool, "rules": way.rules, "times_forward": ratio, **fact}


def megabytes(way: Way) -> float | None:
    """Megabytes alive at once, without weights and images; None where torch cannot see them."""
    if "eager" not in way.tool and "relmask" in way.tool:
        return None
    return round(peak(way.run) / 1e6, 1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--networks", nargs="+", default=list(NETWORKS))
    parser.add_argument("--batches", nargs="+", type=int, default=[1, 8])
    parser.add_argument("--threads", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--how", nargs="+", default=["eager", "compile", "onnx"])
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    torch.set_flush_denormal(True)
    for name in options.networks:
        for batch in options.batches:
            for threads in options.threads:
                for figure in measure(name, batch, threads, options.rounds, options.how, options.device):
                    print(json.dumps(figure), flush=True)


if __name__ == "__main__":
    main()
