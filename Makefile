# Every target is a line or two; what takes longer is a script beside what it is about.
CARGO ?= cargo
PREFIX ?= /usr/local
SENSOR := $(or $(CARGO_TARGET_DIR),target)/release/dnstrail
# Tests and the sensor need root; who is not asks sudo.
AS_ROOT := $(shell [ "$$(id -u)" = 0 ] || echo sudo -E)
RUNNER := $(if $(AS_ROOT),--config "target.'cfg(all())'.runner = '$(AS_ROOT)'")

.PHONY: help run quick system test demo check bench fuzz coverage golden deny vm-test install package

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: ## build it, and print every DNS message of this host with its process, until Ctrl-C
	@packaging/needs build
	$(CARGO) build --release --quiet
	$(AS_ROOT) $(SENSOR) run --rules rules/rules.toml

quick: ## the tests that need no root, network, daemon or other package
	@packaging/needs build
	$(CARGO) test

system: ## the tests that need root: live, daemons, packages
	@packaging/needs build test sbom
	$(CARGO) test --release --test system $(RUNNER)

test: quick system ## all tests of this kernel: quick, then system

demo: ## a resolver of its own, listed names asked for, and the alerts that come of it
	@packaging/needs build test
	$(CARGO) build --release --quiet
	$(AS_ROOT) packaging/demo

check: deny ## formatting, lints, licences and sources
	@packaging/needs build
	$(CARGO) fmt --check
	rustfmt --check --edition 2024 sensor/sighting/*/mod.rs # declared by kinds!, which cargo fmt does not follow
	$(CARGO) clippy --quiet --all-targets -- -D warnings
	$(CARGO) clippy --quiet --test system -- -D warnings

bench: ## nanoseconds a message, CPU a message live, memory at rest
	@packaging/needs build test
	$(CARGO) bench $(RUNNER)

fuzz: ## every reader of foreign bytes, each for TIME (60) seconds of inputs guided by coverage
	@packaging/needs build fuzz
	fuzz/run

differ: ## SHAPES (1000000) of queries asked of servers, compared with their logs, for at most TIME seconds
	@packaging/needs build test
	DNSTRAIL_SHAPES=$${SHAPES:-1000000} $(if $(TIME),DNSTRAIL_SHAPE_SECONDS=$(TIME)) $(CARGO) test --release --test system $(RUNNER) -- live_difference --nocapture

coverage: ## lines of sensor/ that the quick tests reach
	@packaging/needs build coverage
	.ci/coverage

golden: ## write golden and generated files anew (LIVE=yes: the live one too, as root), and show what changed
	@packaging/needs build
	DNSTRAIL_GOLDEN=renew $(CARGO) test --quiet --test tests -- documents cases generated >/dev/null
	$(if $(LIVE),DNSTRAIL_GOLDEN=renew $(CARGO) test --quiet --release --test system $(RUNNER) -- live_parity)
	git --no-pager diff --stat -p -- '*golden*' schemas README.md docs

deny: ## licences, banned crates and sources of everything that is built in (installs cargo-deny)
	@packaging/needs deny
	PATH="$$PWD/target/tools/bin:$$PATH" $(CARGO) deny --all-features check licenses bans sources

vm-test: ## the live tests on other kernels, in QEMU; needs no root
	@packaging/needs build
	tests/system/vm/run

install: ## put the built sensor under PREFIX (/usr/local)
	@packaging/needs build
	$(CARGO) build --release --quiet
	$(AS_ROOT) install -D -m 755 $(SENSOR) $(DESTDIR)$(PREFIX)/bin/dnstrail

package: ## a Debian package, in target/
	@packaging/needs build sbom
	@packaging/package "$$(packaging/build)"
