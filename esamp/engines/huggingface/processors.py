"""transformers' logits processors, told apart: those that change the LLM's logits, and those that choose from them."""

from __future__ import annotations

from transformers import GenerationConfig, LogitsProcessor, LogitsProcessorList
from transformers.generation import logits_process

from esamp.engines.huggingface.generation_config import warpers_of

__all__ = ["split_processors"]

# They are stateful over steps of their own, or belong after the fusion: as the fields of the configuration that make
# them, they are refused when they are passed by hand.
_REFUSED = (
    logits_process.UnbatchedClassifierFreeGuidanceLogitsProcessor,
    logits_process.WatermarkLogitsProcessor,
    logits_process.SynthIDTextWatermarkLogitsProcessor,
)


def split_processors(
    processors: LogitsProcessorList, config: GenerationConfig
) -> tuple[LogitsProcessorList, LogitsProcessorList]:
    """The processors that `generate` prepared: those that change the logits, and the warpers that `Filters` lacks.

    The second list is empty where `Filters` can do what the configuration asks for; else it holds all warpers, since
    their order matters.

    Raises:
        ValueError: a processor is refused, or the list is not what this configuration makes.
    """
    expected = _warpers(config)
    changing, warping = list(processors), list[LogitsProcessor]()
    if expected:
        changing, warping = changing[: -len(expected)], changing[-len(expected) :]
    if [type(warper) for warper in warping] != expected:
        raise ValueError(
            f"logits_processor must end in {[kind.__name__ for kind in expected]}, as `generate` prepares it from this "
            f"generation_config, got {[type(processor).__name__ for processor in processors]}; call model.generate("
            "custom_generate=sampler)"
        )
    for processor in changing:
        if isinstance(processor, _REFUSED):
            raise ValueError(
                f"logits_processor must hold no {type(processor).__name__} with ESampSampler as custom_generate; "
                "leave it out"
            )
    warping = [warper for warper in warping if not isinstance(warper, logits_process.LogitNormalization)]
    return LogitsProcessorList(changing), LogitsProcessorList(warping if warpers_of(config) else [])


def _warpers(config: GenerationConfig) -> list[type[LogitsProcessor]]:
    """The warpers that `generate` makes of a configuration when it samples, in its order."""
    on = {
        logits_process.TemperatureLogitsWarper: config.temperature not in (None, 1.0),
        logits_process.TopHLogitsWarper: config.top_h is not None,
        logits_process.TopKLogitsWarper: bool(config.top_k),
        logits_process.TopPLogitsWarper: _below_one(config.top_p),
        logits_process.MinPLogitsWarper: config.min_p is not None,
        logits_process.TypicalLogitsWarper: _below_one(config.typical_p),
        logits_process.EpsilonLogitsWarper: bool(config.epsilon_cutoff),
        logits_process.EtaLogitsWarper: bool(config.eta_cutoff),
        logits_process.LogitNormalization: config.renormalize_logits is True,
    }
    return [kind for kind, wanted in on.items() if wanted]


def _below_one(mass: float | None) -> bool:
    return mass is not None and mass < 1.0
