# make figures · make test · make lab; each sets up .venv when it is missing or when the pins have changed.
#   make figures RECORDING=path-or-name RUN=smoke|quick|full NAME=my_chip
RUN ?= quick
PYTHON ?= python3
VENV := .venv
READY := $(VENV)/ready

.PHONY: figures test lab
figures: $(READY)
	@$(VENV)/bin/meagan run $(RUN) $(if $(RECORDING),--recording "$(RECORDING)") $(if $(NAME),--name "$(NAME)")

test: $(READY)
	@$(VENV)/bin/python -m pytest

lab: $(READY)
	@$(VENV)/bin/jupyter lab notebooks

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --constraint constraints.txt --editable ".[test]"
	@touch $@
