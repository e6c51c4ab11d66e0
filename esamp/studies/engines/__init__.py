"""What runs the model of a study, by its name in the study's file."""

from __future__ import annotations

from esamp.studies.engines.base import StudyEngine, engines
from esamp.studies.engines.huggingface import HuggingFaceStudyEngine
from esamp.studies.engines.on_vllm import VLLMStudyEngine

__all__ = ["HuggingFaceStudyEngine", "StudyEngine", "VLLMStudyEngine", "engines"]
