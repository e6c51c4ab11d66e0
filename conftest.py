"""What is collected where: vLLM has a virtual environment of its own, and its tests run there (`make test-vllm`)."""

from importlib.util import find_spec

collect_ignore_glob = [] if find_spec("vllm") else ["tests/vllm/*", "esamp/engines/vllm/*"]
