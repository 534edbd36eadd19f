# make test does everything, on a fresh machine too. Plain `go test ./...` needs
# nothing but Go.

STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2
# The stores for databases, and what needs a driver, a browser, a build tool or
# test data of others.
STORES      := goredisstore pgxstore mysqlstore sqlite3store presence/redispresence
EXAMPLES    := examples/redis examples/postgres examples/mysql examples/sqlite examples/csrf
MODULES     := . $(STORES) $(EXAMPLES) internal/stores client/_generate internal/oracle internal/e2e
FUZZTIME    := 20000x
# What the tests call, and the Debian packages that bring it.
COMMANDS    := gcc chromium chromedriver firefox-esr WebKitWebDriver Xvfb redis-server mariadbd postgres
PACKAGES    := gcc libc6-dev chromium chromium-driver firefox-esr webkit2gtk-driver xvfb fonts-dejavu-core webext-ublock-origin-firefox \
	redis-server mariadb-server postgresql
# Servers of Debian's packages lie outside of many users' PATH.
export PATH := $(PATH):/usr/sbin$(addprefix :,$(lastword $(wildcard /usr/lib/postgresql/*/bin)))

.PHONY: test test-long deps vet unit fuzz script nested stores bench

test: deps vet unit script fuzz stores nested

# The counts that the README speaks of.
test-long: export KEEPALIVE_ROUNDS = 20000
test-long: deps unit
	cd internal/stores && go test -count=1 -timeout 6h -v ./...
	$(MAKE) bench

# Installs what is missing where it may, else says what to install. A policy-rc.d
# that says 101 keeps the packages from starting their servers: the tests start
# their own.
deps:
	@missing=; \
	for c in $(COMMANDS); do command -v $$c >/dev/null || missing="$$missing $$c"; done; \
	ls -d /usr/share/mozilla/extensions/*/uBlock0@raymondhill.net >/dev/null 2>&1 || missing="$$missing uBlock-lists"; \
	test -n "$$missing" || exit 0; \
	echo "missing:$$missing"; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		if test ! -e /usr/sbin/policy-rc.d; then \
			trap 'rm -f /usr/sbin/policy-rc.d' EXIT; \
			printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d && chmod +x /usr/sbin/policy-rc.d; \
		fi; \
		apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $(PACKAGES); \
	else \
		echo "install them first, on Debian: apt-get install --no-install-recommends $(PACKAGES)"; exit 1; \
	fi

vet:
	@test -z "$$(gofmt -l .)" || { echo "gofmt would change:"; gofmt -l .; exit 1; }
	@for m in $(MODULES); do echo "vet $$m"; (cd $$m && go vet ./... && go run $(STATICCHECK) ./...) || exit 1; done

unit:
	go test -race ./...

# The committed script is what the generator makes of its source, and plan()
# keeps its promises.
script:
	cd client/_generate && go test -count=1 ./...

# Every fuzz test, by count: the machine's speed must not change what is tested.
fuzz:
	@for m in . internal/oracle; do \
		for p in $$(cd $$m && go list ./...); do \
			for f in $$(cd $$m && go test -list '^Fuzz' $$p | grep '^Fuzz'); do \
				echo "fuzz $$p $$f"; \
				(cd $$m && go test -run='^$$' -fuzz="^$$f\$$" -fuzztime=$(FUZZTIME) $$p) || exit 1; \
			done; \
		done; \
	done

# The scanner against html5lib's inputs, and everything in real browsers.
nested:
	cd examples/csrf && go test -race -count=1 ./...
	cd internal/oracle && go test -count=1 ./...
	cd internal/e2e && go test -count=1 -timeout 20m -v ./...

# The stores against real servers, which the tests start.
stores:
	cd internal/stores && go test -race -count=1 -timeout 20m ./...
	cd internal/stores && go test -count=1 -run='^$$' -bench=. -benchtime=1x ./...

bench:
	go test -run='^$$' -bench=. -count=6 . ./presence
	cd internal/stores && go test -run='^$$' -bench=. -count=6 -timeout 2h . ./presence
