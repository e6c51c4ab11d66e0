"""One `generate` call, from its arguments to its result: prompts read, the request checked, its batches run."""
