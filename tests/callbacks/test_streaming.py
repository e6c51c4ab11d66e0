from __future__ import annotations

from collections import defaultdict

from transformers import PreTrainedTokenizerFast

from esamp import ESampSampler
from esamp.callbacks import TextStreamer
from esamp.testing.models import tiny_model


def test_the_pieces_of_every_sample_make_its_text(tokenizer: PreTrainedTokenizerFast) -> None:
    pieces: dict[tuple[int, int], list[str]] = defaultdict(list)
    streamer = TextStreamer(tokenizer, lambda prompt, sample, text: pieces[prompt, sample].append(text))
    sampler = ESampSampler(tiny_model(), tokenizer)
    for _ in range(2):
        pieces.clear()
        result = sampler.generate(["one two", "three"], n=3, max_new_tokens=10, waves=2, callbacks=[streamer])
        for samples in result.samples:
            for sample in samples:
                streamed = "".join(pieces[sample.prompt, sample.index])
                assert sample.text.startswith(streamed)
                # What is missing at the end is a character whose bytes never became complete.
                assert sample.text[len(streamed) :].strip("�") == ""
        assert sum(len(each) for each in pieces.values()) > len(pieces)


def test_a_character_is_held_back_until_it_is_complete() -> None:
    class Bytes:
        def decode(self, tokens: list[int], **options: bool) -> str:
            return bytes(tokens).decode(errors="replace")

    got: list[str] = []
    streamer = TextStreamer.__new__(TextStreamer)
    streamer.tokenizer, streamer.on_text = Bytes(), lambda prompt, sample, text: got.append(text)
    streamer._tokens, streamer._sent = {}, {}
    for byte in "aé!".encode():
        streamer.on_step(_record(byte))
    assert got == ["a", "é", "!"]


def _record(token: int) -> object:
    import torch

    from esamp.callbacks import StepRecord
    from esamp.policy import Drawn, Fused

    one, number = torch.zeros(1, dtype=torch.int64), torch.zeros(1)
    empty = torch.zeros(1, 1)
    from esamp.candidates import Candidates

    candidates = Candidates(one.view(1, 1), empty, torch.ones(1, 1, dtype=torch.bool))
    fused = Fused(candidates, empty, empty, number, number)
    return StepRecord(0, one, one, fused, Drawn(torch.tensor([token]), number), lambda: number, [])
