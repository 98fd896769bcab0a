# Everything runs in .venv, made here. Targets that need OVN install Debian's packages when they are missing.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SIZES ?= S,M

# What the demo, the functional tier and the lab run; iproute2, util-linux and coreutils are on every Debian.
OVN_PROGRAMS := ovsdb-server ovsdb-tool ovn-northd ovn-nbctl ovn-trace ovs-vswitchd ovn-controller ovs-pki \
	iperf3 tcpdump ethtool ping ip
OVN_PACKAGES := ovn-central ovn-host openvswitch-switch openvswitch-common openvswitch-pki \
	iperf3 tcpdump ethtool iputils-ping iproute2

.DEFAULT_GOAL := help
.PHONY: help run venv ovn kubernetes test test-unit test-functional test-cluster test-resilience test-lab check format bench clean

help: ## show the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: ovn venv ## play the guide on a private OVN: plan, rows, packets, drift, repair
	$(BIN)/ovnqos demo

venv: $(VENV)/.installed ## make .venv with the command ovnqos

$(VENV)/.installed: pyproject.toml
	@$(PYTHON) -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
		./scripts/install-packages python3 python3-venv
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --upgrade pip
	$(BIN)/pip install --quiet --editable '.[dev]'
	@touch $@

ovn: ## install OVN, Open vSwitch and the measuring tools from Debian, if they are missing
	@missing=; for program in $(OVN_PROGRAMS); do \
		PATH="$$PATH:/usr/sbin:/sbin" command -v $$program >/dev/null || missing="$$missing $$program"; done; \
	if [ -n "$$missing" ]; then echo "missing:$$missing"; ./scripts/install-packages $(OVN_PACKAGES); fi

kubernetes: ## build kube-apiserver from Debian's sources, once, into the user's cache (about 5 minutes)
	@./scripts/build-kube-apiserver

test: test-unit test-functional test-cluster test-lab ## run the tests, but for test-resilience

test-unit: venv ## the pure core: unit and property tests
	$(BIN)/pytest tests/unit tests/property

test-functional: ovn venv ## against real database servers
	$(BIN)/pytest tests/functional

test-cluster: ovn kubernetes venv ## the daemon against a real Kubernetes API
	$(BIN)/pytest tests/cluster --ignore-glob='*_resilience_*'

test-resilience: ovn kubernetes venv ## the daemon while servers are killed, frozen and replaced; not part of make test yet
	$(BIN)/pytest tests/cluster/test_daemon_resilience_*.py

test-lab: ovn venv ## real packets between network namespaces; needs root
	$(BIN)/pytest tests/lab

check: venv ## types, lint, layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: venv ## format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: ovn venv ## measure against the floor: make bench SIZES=S,M,L
	$(BIN)/python -m bench --sizes $(SIZES)

clean: ## remove what make made
	rm -rf $(VENV) bench/out .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
