# `make test` does everything, on a fresh machine too. Plain `go test ./...` needs
# nothing but Go. `make test/pgxstore` tests one module.

STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2
GOTESTSUM   := gotest.tools/gotestsum@v1.13.0
FUZZTIME    := 20000x
ROOT        := github.com/seed4a306b22/keepalive
MODULES     := . $(patsubst ./%/go.mod,%,$(sort $(shell find . -mindepth 2 -name go.mod -not -path '*/node_modules/*')))
# What the tests call, and the Debian packages that bring it.
COMMANDS    := gcc chromium chromedriver firefox-esr WebKitWebDriver Xvfb redis-server mariadbd postgres nginx haproxy
PACKAGES    := gcc libc6-dev chromium chromium-driver firefox-esr webkit2gtk-driver xvfb fonts-dejavu-core webext-ublock-origin-firefox \
	redis-server mariadb-server postgresql nginx-light haproxy
# Servers of Debian's packages lie outside of many users' PATH.
export PATH := $(PATH):/usr/sbin$(addprefix :,$(lastword $(wildcard /usr/lib/postgresql/*/bin)))
# Each module is built as its users build it, without the workspace of go.work.
export GOWORK := off

.PHONY: test tests test-long deps format workspace types fuzz bench-once bench bench-root bench-stores bench-beside load report herd released require release-check $(MODULES:%=check/%) $(MODULES:%=test/%)
ifndef BESIDE
.NOTPARALLEL:
endif

test: deps format workspace types $(MODULES:%=check/%) tests fuzz bench-once

# Tests of the stores mostly wait, so those of the other modules run beside them. The
# browsers have the machine for themselves.
tests:
	$(MAKE) BESIDE=yes -j2 --output-sync=target test/internal/stores $(filter-out test/internal/stores test/internal/e2e,$(MODULES:%=test/%))
	$(MAKE) test/internal/e2e

# The counts that the documents speak of.
test-long: export KEEPALIVE_ROUNDS = 20000
test-long: TESTFLAGS = -race -timeout 6h -v
test-long: deps test/. test/internal/stores bench-root bench-stores bench-beside load

# Installs what is missing where it may, else says what to install. npm and nodejs
# are asked for only where they are missing: Debian's would conflict with others.
# A policy-rc.d that says 101 keeps the packages from starting their servers: the
# tests start their own.
deps:
	@missing=; packages="$(PACKAGES)"; \
	for c in $(COMMANDS); do command -v $$c >/dev/null || missing="$$missing $$c"; done; \
	for c in node npm; do command -v $$c >/dev/null || { missing="$$missing $$c"; node="nodejs npm"; }; done; \
	ls -d /usr/share/mozilla/extensions/*/uBlock0@raymondhill.net >/dev/null 2>&1 || missing="$$missing uBlock-lists"; \
	test -n "$$missing" || exit 0; \
	echo "missing:$$missing"; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		if test ! -e /usr/sbin/policy-rc.d; then \
			trap 'rm -f /usr/sbin/policy-rc.d' EXIT; \
			printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d && chmod +x /usr/sbin/policy-rc.d; \
		fi; \
		apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $$packages $$node; \
	else \
		echo "install them first, on Debian: apt-get install --no-install-recommends $$packages $$node"; exit 1; \
	fi

format:
	@test -z "$$(gofmt -l .)" || { echo "gofmt would change:"; gofmt -l .; exit 1; }

# go.work, which is for editors, lists every module.
workspace:
	@test $$(GOWORK= go list -m | wc -l) = $(words $(MODULES)) || { echo "go.work lacks a module: go work use -r ."; exit 1; }

$(MODULES:%=check/%): check/%:
	cd $* && go mod tidy -diff && go build -o /dev/null ./... && go vet ./... && go run $(STATICCHECK) ./...

# The types of the script's modules, and of keepalive.d.ts.
types:
	cd client/_types && trap 'rm -rf node_modules' EXIT && npm ci --no-audit --no-fund --silent && npm test --silent

# The time limit is for what hangs. Those that have little concurrency of ours, and
# would take minutes longer with it, run without the race detector.
TESTFLAGS := -race -timeout 60m
test/client/_generate test/internal/oracle test/internal/simulation: TESTFLAGS := -timeout 60m
$(filter-out test/internal/e2e test/internal/stores,$(MODULES:%=test/%)): test/%:
	cd $* && go test -count=1 $(TESTFLAGS) ./...

# In two processes: the tests of faults count the goroutines of theirs. What runs one
# call after another needs no race detector, and would take minutes longer with it.
RACES := ^Test(Fault|Two|Renewal|Across)
test/internal/stores:
	cd internal/stores && races=$$(mktemp) && trap 'cat $$races; rm $$races' EXIT && \
	{ go test -count=1 $(TESTFLAGS) -run '$(RACES)' . >$$races 2>&1 & first=$$!; \
	go test -count=1 $(filter-out -race,$(TESTFLAGS)) -parallel 12 -skip '$(RACES)' . && \
	go test -count=1 $(TESTFLAGS) ./presence ./servers; second=$$?; wait $$first && exit $$second; }

# Up to five tests that fail are run again, each alone, and listed at the end. One that
# fails again fails the step.
test/internal/e2e:
	cd internal/e2e && runs=$$(mktemp) && trap 'cat $$runs; rm $$runs' EXIT && \
	go run $(GOTESTSUM) --format=standard-quiet --rerun-fails=1 --rerun-fails-max-failures=5 --rerun-fails-report=$$runs \
		--packages=./... -- -count=1 -timeout 60m

# Every fuzz test, by count: the machine's speed must not change what is tested.
fuzz:
	@grep -rHo --include='*_test.go' --exclude-dir=node_modules '^func Fuzz[A-Za-z0-9_]*' . | sort | \
	while IFS=: read -r file func; do \
		name=$${func#func }; echo "$$file $$name"; \
		(cd $${file%/*} && go test -run='^$$' -fuzz="^$$name\$$" -fuzztime=$(FUZZTIME) -fuzzminimizetime=10x .) || exit 1; \
	done

# The benchmarks against real servers go on working.
bench-once:
	cd internal/stores && go test -short -count=1 -run='^$$' -bench=. -benchtime=1x ./...

# All figures of docs/performance.md and docs/comparison.md, and from them the tables and
# plots of both. The benchmarks run in turn, so that each ratio is one of the same minute.
# `make bench-stores report` makes a part of them anew.
RESULTS := /tmp/keepalive-bench
ROUNDS  := 1 2 3 4 5
bench: bench-root bench-stores bench-beside load report

bench-root:
	mkdir -p $(RESULTS) && rm -f $(RESULTS)/root.txt
	for i in $(ROUNDS); do go test -run='^$$' -bench=. -benchtime=100ms . ./presence >>$(RESULTS)/root.txt || exit 1; done
	cd benchmarks && if command -v valgrind >/dev/null; then go run ./cmd/instructions >$(RESULTS)/instructions.txt; fi

bench-stores:
	mkdir -p $(RESULTS) && rm -f $(RESULTS)/stores.txt
	cd internal/stores && for i in $(ROUNDS); do go test -run='^$$' -bench=Stores -benchtime=100ms -timeout 2h . >>$(RESULTS)/stores.txt || exit 1; done
	cd internal/stores && go test -run='^$$' -bench=Many -benchtime=20000x -timeout 2h . >$(RESULTS)/many.txt
	cd internal/stores && go test -run='^$$' -bench=. -timeout 2h ./presence

bench-beside:
	mkdir -p $(RESULTS) && rm -f $(RESULTS)/inject.txt
	cd benchmarks && for i in $(ROUNDS); do go test -run='^$$' -bench=Inject -benchtime=100ms . >>$(RESULTS)/inject.txt || exit 1; done
	cd benchmarks && go run ./cmd/sizes >$(RESULTS)/sizes.txt

# Many open pages with real connections. It takes half an hour, and 4 GB of memory.
load:
	mkdir -p $(RESULTS) && rm -f $(RESULTS)/load.txt
	cd benchmarks && go build -o $(RESULTS)/load ./load
	for i in $(ROUNDS); do $(RESULTS)/load -hour -pages 20 >>$(RESULTS)/load.txt || exit 1; done
	$(RESULTS)/load -protocol https1 -pages 10000 -compress 10 -rounds 1 >>$(RESULTS)/load.txt
	$(RESULTS)/load -protocol http2 -pages 10000 -compress 10 -rounds 1 >>$(RESULTS)/load.txt
	$(RESULTS)/load -protocol http2 -pages 100000 -share 10 -compress 4 -rounds 1 >>$(RESULTS)/load.txt
	$(RESULTS)/load -protocol http1 -pages 100000 -compress 4 -rounds 1 >>$(RESULTS)/load.txt

report:
	cd benchmarks && go run ./cmd/report -docs ../docs $(RESULTS)/*.txt

# What a server sees of a million pages in the scenarios of docs/performance.md.
herd:
	cd internal/simulation && go run . -pages 1000000 -plot ../../docs/herd.svg

# The modules of the last release with this tree's root, whether this tree can be
# released, and the next release's version in each go.mod: see RELEASING.md.
released:
	.ci/released

release-check:
	.ci/release-check

require:
	for m in $(MODULES); do if grep -q '$(ROOT) v' $$m/go.mod; then (cd $$m && go mod edit -require=$(ROOT)@$(VERSION)) || exit 1; fi; done
	for m in $(MODULES); do (cd $$m && go mod tidy) || exit 1; done
