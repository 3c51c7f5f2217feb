# Everything goes through .venv, which the first target that needs it sets up.
PYTHON ?= python3
BIN := .venv/bin
RUN := demo-run
EXPORT := demo-export
export TF_CPP_MIN_LOG_LEVEL ?= 3

.PHONY: demo test lint clean

demo: .venv/ready
	$(BIN)/lmkeras train lm --text builtin:python-docs --output $(RUN) --overwrite \
		--tokenizer characters --batch-size 16 --steps 800
	$(BIN)/lmkeras generate $(RUN) --prompt "The " --temperature 0.7
	$(BIN)/lmkeras export $(RUN) $(EXPORT) --overwrite
	$(BIN)/python examples/generate_from_saved_model.py $(EXPORT) "The "

test: .venv/ready
	$(BIN)/python -m pytest

lint: .venv/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

.venv/ready: requirements.txt setup.cfg pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --requirement requirements.txt --editable ".[development]"
	touch $@

clean:
	rm -rf .venv $(RUN) $(EXPORT)
