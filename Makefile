# make test does everything, on a fresh machine too. Plain `go test ./...` needs
# nothing but Go.

STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2
# Nested modules: what needs a browser, a build tool or test data of others.
MODULES     := . client/_generate internal/oracle internal/e2e
FUZZTIME    := 20000x
# What the tests call, and the Debian packages that bring it.
COMMANDS    := gcc chromium chromedriver firefox-esr WebKitWebDriver Xvfb
PACKAGES    := gcc libc6-dev chromium chromium-driver firefox-esr webkit2gtk-driver xvfb fonts-dejavu-core webext-ublock-origin-firefox

.PHONY: test deps vet unit fuzz script nested bench

test: deps vet unit script fuzz nested

# Installs what is missing where it may, else says what to install.
deps:
	@missing=; \
	for c in $(COMMANDS); do command -v $$c >/dev/null || missing="$$missing $$c"; done; \
	ls -d /usr/share/mozilla/extensions/*/uBlock0@raymondhill.net >/dev/null 2>&1 || missing="$$missing uBlock-lists"; \
	test -n "$$missing" || exit 0; \
	echo "missing:$$missing"; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
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
	cd internal/oracle && go test -count=1 ./...
	cd internal/e2e && go test -count=1 -timeout 20m -v ./...

bench:
	go test -run='^$$' -bench=. -count=6 .
