# make demo    see it work: data, training, masks, report
# make test    every check that continuous integration runs
# make docs    the documentation, as build/docs/index.html
# All create .venv, and install again only when pyproject.toml or constraints.txt changed.

SHELL := /bin/sh
.DELETE_ON_ERROR:
.PHONY: demo test docs

PYTHON ?= $(shell for python in python3.11 python3.12 python3.13 python3.14 python3 python; do \
	"$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo "$$python" && break; done)
INSTALL = .venv/bin/python -m pip install --disable-pip-version-check --quiet -c constraints.txt

demo: .venv/installed
	.venv/bin/relmask demo

test: .venv/installed-test
	scripts/check

docs: .venv/installed-docs
	OMP_NUM_THREADS=1 .venv/bin/sphinx-build -q -W --keep-going docs build/docs
	@echo "Look at build/docs/index.html"

.venv/installed: pyproject.toml constraints.txt | .venv/bin/pip
	@echo "Installing relmask into .venv (a few minutes the first time)"
	$(INSTALL) -e .
	@touch $@

.venv/installed-test: .venv/installed
	@echo "Installing the tools of the tests"
	$(INSTALL) -e '.[test]'
	@touch $@

.venv/installed-docs: .venv/installed
	@echo "Installing what builds the documentation"
	$(INSTALL) -e '.[docs]'
	@touch $@

.venv/bin/pip:
	@test -n "$(PYTHON)" || { echo "relmask needs Python 3.11 or newer: install it, or name it: make PYTHON=..." >&2; exit 1; }
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "$(PYTHON) is older than Python 3.11, which relmask needs" >&2; exit 1; }
	"$(PYTHON)" -m venv .venv || { rm -rf .venv; exit 1; }
