# make figures · make concepts · make images · make book · make test · make lab · make bench; each sets up .venv when
# it is missing or when the pins have changed.
#   make figures RECORDING=path-or-name RUN=smoke|quick|full NAME=my_chip
#   make figures RECORDING="a.brw b.brw c.brw" NAME=three    one data set of several recordings
#   make book NAME=my_chip    the HTML book of a finished run: results/my_chip/book
RUN ?= quick
PYTHON ?= python3
VENV := .venv
READY := $(VENV)/ready
# pip would compile all that it installs; of it a run imports a quarter.
PIP := $(VENV)/bin/python -m pip install --quiet --no-compile
TORCH := $(shell grep '^torch==' constraints.txt)
CPU_WHEELS := https://download.pytorch.org/whl/cpu
# Each job of a run would compile the library again.
unexport PYTHONDONTWRITEBYTECODE
# A path with spaces in it is one recording when it exists.
RECORDINGS = $(if $(shell test -e "$(RECORDING)" && echo one),--recording "$(RECORDING)",$(foreach \
	r,$(RECORDING),--recording "$(r)"))

.PHONY: figures concepts images book test lab bench
figures: $(READY)
	@$(VENV)/bin/meagan run $(RUN) $(if $(RECORDING),$(RECORDINGS)) $(if $(NAME),--name "$(NAME)")

concepts: $(READY)
	@$(VENV)/bin/meagan run concepts

images: $(READY)
	@$(VENV)/bin/meagan run images

book: $(READY)
	@$(VENV)/bin/meagan book $(or $(NAME),$(RUN))

test: $(READY)
	@$(VENV)/bin/python -m pytest -p no:nbval

lab: $(READY)
	@$(VENV)/bin/python -c "import meagan_lib, jupyterlab.labapp as lab; lab.main()" notebooks

bench: $(READY)
	@$(VENV)/bin/python bench/preprocessing.py
	@$(VENV)/bin/python bench/compressed.py
	@$(VENV)/bin/python bench/training.py
	@$(VENV)/bin/python bench/scoring.py
	@$(VENV)/bin/python bench/connectivity.py
	@$(VENV)/bin/python bench/intervals.py
	@$(VENV)/bin/python bench/annotated.py
	@$(VENV)/bin/python bench/told_apart.py
	@$(VENV)/bin/python bench/exporting.py
	@PYTHONPATH=. $(VENV)/bin/python bench/playground.py
	@$(VENV)/bin/python bench/fuzz.py 5000
	@$(VENV)/bin/python bench/killed.py 50
	@$(VENV)/bin/python bench/places.py unkilled
	@$(VENV)/bin/python bench/kinds.py

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	@# On Linux pip's own PyTorch brings gigabytes for NVIDIA cards: without one, PyTorch's build for the CPU.
	@[ "$$(uname)" != Linux ] || command -v nvidia-smi >/dev/null || \
		$(PIP) --no-deps --retries 0 --timeout 10 --index-url $(CPU_WHEELS) $(TORCH) \
		2>/dev/null || echo "no PyTorch could be had from $(CPU_WHEELS): what pip finds is taken"
	$(PIP) --constraint constraints.txt --editable ".[book,test]"
	@# Python compiles what it imports: now, and not while the first notebook waits.
	@$(VENV)/bin/python -c "import meagan_lib.annotated.detector, meagan_lib.evaluation.metrics, \
		meagan_lib.models.vae_gan, meagan_lib.plots, meagan_lib.workflow.graph, \
		ipykernel.kernelapp, nbconvert, papermill, snakemake.cli"
	@touch $@
