# Everything runs in .venv, made here. Targets that need OVN install Debian's packages when they are missing.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SIZES ?= S,M
FAULTS ?= 300
OBJECTS ?= 20000

# Where the lab's OVN comes from, one after the other: what is installed, and folders made of other Debian releases
OVN := installed,trixie
MATRIX_REPORT := docs/traffic-matrix.md
# Tests wait for servers more than they compute; those of a file share its fixtures
SHARED := --numprocesses=2 --dist=loadfile
# A test of packets takes a third of a processor; those of a sandbox share it
SHARED_SANDBOXES := --numprocesses=4 --dist=loadgroup

# What the demo, the functional tier and the lab run; iproute2, util-linux and coreutils are on every Debian.
OVN_PROGRAMS := ovsdb-server ovsdb-tool ovn-northd ovn-nbctl ovn-trace ovs-vswitchd ovn-controller ovs-pki \
	iperf3 tcpdump ethtool ping ip
OVN_PACKAGES := ovn-central ovn-host openvswitch-switch openvswitch-common openvswitch-pki \
	iperf3 tcpdump ethtool iputils-ping iproute2

.DEFAULT_GOAL := help
.PHONY: help run venv lock ovn ovn-25.03 ovn-unstable ovn-roots kubernetes kubernetes-modern deploy-tools \
	test test-unit test-functional test-cluster test-cluster-modern test-image test-lab test-long test-newest test-oldest \
	matrix matrix-unstable check docs format bench fuzz mutations shape clean

help: ## show the targets
	@awk -F ':.*## ' '/^[a-z0-9. -]+:.*## / {printf "  make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: ovn venv ## run the guide on a private OVN: plan, rows, packets, drift, repair
	$(BIN)/ovnqos demo

venv: $(VENV)/.installed ## make .venv with the command ovnqos

$(VENV)/.installed: pyproject.toml requirements-build.lock requirements-dev.lock
	@$(PYTHON) -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
		./scripts/install-packages python3 python3-venv
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --require-hashes -r requirements-build.lock
	$(BIN)/pip install --quiet --require-hashes --no-build-isolation -r requirements-dev.lock
	$(BIN)/pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

# pyproject.toml has the ranges; a lock has one version of each, with hashes, for every Python that we support
LOCK = $(BIN)/uv --quiet pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	--no-annotate --custom-compile-command 'make lock' --upgrade

lock: venv ## renew the locks: the newest versions that pyproject.toml allows
	$(LOCK) pyproject.toml --all-extras --group dev --output-file requirements-dev.lock
	$(LOCK) pyproject.toml --all-extras --constraint requirements-dev.lock --output-file requirements.lock
	$(LOCK) --group build --constraint requirements-dev.lock --output-file requirements-build.lock
	$(LOCK) pyproject.toml --group docs --constraint requirements-dev.lock --output-file requirements-docs.lock

ovn: ## install OVN, Open vSwitch and the measuring tools from Debian, if they are missing
	@missing=; for program in $(OVN_PROGRAMS); do \
		PATH="$$PATH:/usr/sbin:/sbin" command -v $$program >/dev/null || missing="$$missing $$program"; done; \
	if [ -n "$$missing" ]; then echo "missing:$$missing"; ./scripts/install-packages $(OVN_PACKAGES); fi

ovn-25.03: ## make a folder with Debian 13's OVN, once, in the user's cache (a minute; root)
	@./scripts/make-ovn-root trixie

ovn-unstable: ## the same with the OVN of Debian unstable
	@./scripts/make-ovn-root unstable

ovn-roots: ovn
	@[ "$$(id -u)" -ne 0 ] || for suite in $$(echo '$(OVN)' | tr ',' ' '); do \
		[ "$$suite" = installed ] || ./scripts/make-ovn-root "$$suite" || exit 1; done

kubernetes: ## build kube-apiserver from Debian's sources, once, into the user's cache (about 5 minutes)
	@./scripts/build-kube-apiserver

kubernetes-modern: ## build a server of Kubernetes' newest libraries in Debian unstable, likewise
	@./scripts/build-modern-kubernetes

deploy-tools: venv ## fetch Helm's engine and promtool into the user's cache
	@PYTHON=$(BIN)/python ./scripts/fetch-deploy-tools

# Packets have the machine for themselves
test: ## run all tests
	@$(MAKE) --no-print-directory --jobs=2 --keep-going --output-sync=target test-cluster test-unit test-functional
	@$(MAKE) --no-print-directory test-lab

test-unit: venv ## the pure core: unit and property tests
	$(BIN)/pytest tests/unit tests/property $(SHARED)

test-newest: RESOLUTION := highest
test-oldest: RESOLUTION := lowest-direct
test-newest test-oldest: ovn venv ## the core and the databases, with the newest or the oldest versions in pyproject.toml
	$(BIN)/uv --quiet venv --clear --python $(BIN)/python .venv-$(RESOLUTION)
	$(BIN)/uv --quiet pip install --python .venv-$(RESOLUTION) --resolution $(RESOLUTION) --group dev --editable '.[daemon]'
	.venv-$(RESOLUTION)/bin/pytest tests/unit tests/property tests/functional/northbound tests/functional/ovsdb

test-functional: ovn deploy-tools venv ## against real database servers
	$(BIN)/pytest tests/functional $(SHARED)

# What depends on the API server's version: the CRD, watches, status, Events, rights
MODERN_TESTS := $(patsubst %,tests/cluster/test_%.py, \
	admission_policy command crd crd_of_ovn_kubernetes example_controller kubernetes_api reflector status events rbac chart daemon_stored_objects)

test-cluster: ovn kubernetes deploy-tools venv ## the daemon against a real Kubernetes API; what depends on its version also on the newest
	$(BIN)/pytest tests/cluster $(SHARED)
	@if ./scripts/build-modern-kubernetes; then \
		echo 'OVNQOS_KUBERNETES=modern $(BIN)/pytest $(SHARED) $(MODERN_TESTS)'; \
		OVNQOS_KUBERNETES=modern $(BIN)/pytest $(SHARED) $(MODERN_TESTS); \
	else echo "NOT RUN on the newest Kubernetes: its server does not build here, see above"; fi

test-cluster-modern: ovn kubernetes-modern deploy-tools venv ## the whole tier on the newest Kubernetes
	OVNQOS_KUBERNETES=modern $(BIN)/pytest tests/cluster $(SHARED)

test-image: ovn kubernetes venv ## build the image from Debian's packages; run the daemon in it, and the unit tests on its Python; root
	./scripts/test-image

# Sandboxes share nothing, and their tests mostly wait for streams to end: several processes, then what needs quiet
test-lab: ovn-roots venv ## real packets between network namespaces, on each OVN; needs root
	@$(MAKE) --no-print-directory --keep-going test-lab-together test-lab-alone

test-lab-together:
	OVNQOS_LAB_OVN=$(OVN) $(BIN)/pytest tests/lab -m 'not alone' $(SHARED_SANDBOXES)

test-lab-alone:
	OVNQOS_LAB_OVN=$(OVN) $(BIN)/pytest tests/lab -m alone

test-long: ovn-roots kubernetes venv ## what the tests of a change leave out: all cells, all versions, more examples
	$(MAKE) fuzz OBJECTS=1000000 SEED=1000000
	$(MAKE) test-newest test-oldest mutations test-cluster-modern test-image matrix MATRIX_REPORT=
	OVNQOS_LAB_MATRIX=whole OVNQOS_LAB_OVN=$(OVN) $(BIN)/pytest tests/lab --ignore=tests/lab/matrix
	HYPOTHESIS_PROFILE=explore $(BIN)/pytest tests/property
	$(MAKE) soak

matrix: ovn-roots venv ## measure the traffic matrix, write it into docs: make matrix OVN=installed,trixie,unstable
	CI=true OVNQOS_LAB_MATRIX=whole OVNQOS_LAB_OVN=$(OVN) OVNQOS_LAB_REPORT=$(MATRIX_REPORT) $(BIN)/pytest tests/lab/matrix

matrix-unstable: ## measure it on Debian unstable's OVN; written nowhere
	$(MAKE) matrix OVN=unstable MATRIX_REPORT=

check: venv ## types, lint, layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: venv ## make the documentation site in site/; a broken link is an error
	$(BIN)/pip install --quiet --require-hashes --no-build-isolation -r requirements-docs.lock
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

format: venv ## format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: ovn venv ## measure against the floor: make bench SIZES=S,M,L
	$(BIN)/python -m bench --sizes $(SIZES)

fuzz: venv ## hostile objects through parsing, compiling, planning, rendering: make fuzz OBJECTS=1000000 SEED=1
	$(BIN)/python -m tests.fuzz --objects $(OBJECTS) $(if $(SEED),--seed $(SEED))

mutations: ovn venv ## break a dozen behaviours, one at a time: a test must find each
	$(BIN)/python -m tests.mutations

# FAULTS=, MINUTES= (whichever comes first), SEED=, BATCH= (where a failure is run again)
soak: ovn kubernetes venv ## the daemon under random faults: make soak FAULTS=1000 SEED=7
	$(BIN)/python -m tests.soak --faults $(FAULTS) \
		$(if $(MINUTES),--minutes $(MINUTES)) $(if $(SEED),--seed $(SEED)) $(if $(BATCH),--batch $(BATCH))

shape: ovn venv ## print the yardsticks of CONTRIBUTING's "Shape of the code"
	$(BIN)/python scripts/shape

clean: ## remove what make made
	rm -rf $(VENV) site .venv-highest .venv-lowest-direct bench/out .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
