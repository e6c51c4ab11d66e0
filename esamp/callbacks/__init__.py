"""Callbacks of `ESampSampler.generate`."""

from esamp.callbacks.base import Callback, GenerateStart, StepRecord
from esamp.callbacks.jsonl import JSONLWriter
from esamp.callbacks.logger import LoggerCallback
from esamp.callbacks.progress import ProgressBar
from esamp.callbacks.streaming import TextStreamer

__all__ = ["Callback", "GenerateStart", "JSONLWriter", "LoggerCallback", "ProgressBar", "StepRecord", "TextStreamer"]
