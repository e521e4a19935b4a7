# Targets for people and for CI. `make` alone lists them.
GO      ?= go
PKGS    ?= ./...
DATA    ?= /tmp/apus
FUZZ    ?= 60s
STATICCHECK = honnef.co/go/tools/cmd/staticcheck@v0.8.2

.PHONY: help run build test race check fmt vet lint fuzz programs sdks suites streaming gatewaycost browser gateway bench golden clean

help: ## list the targets
	@awk -F':.*## ' '/^[a-z]+:.*## /{printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: ## start a server in one process, with its data under $(DATA)
	$(GO) run ./cmd/apus serve --data $(DATA)

build: ## build the binary into bin/
	$(GO) build -trimpath -o bin/apus ./cmd/apus

test: ## run the tests
	$(GO) test $(PKGS)

race: ## run the tests with the race detector
	$(GO) test -race $(PKGS)

check: fmt vet lint test race ## all that a change must pass

fmt: ## fail if a file is not formatted
	@out=$$(gofmt -l $$(git ls-files '*.go')); if [ -n "$$out" ]; then echo "not formatted (gofmt -w):"; echo "$$out"; exit 1; fi

vet: ## look for mistakes that the compiler lets pass
	$(GO) vet $(PKGS)

lint: ## run staticcheck, at the version pinned here
	$(GO) run $(STATICCHECK) $(PKGS)

fuzz: ## run every fuzz target for FUZZ (60s)
	@for p in $$($(GO) list ./...); do for f in $$($(GO) test -list '^Fuzz' $$p | grep '^Fuzz'); do \
	  echo "== $$p $$f"; $(GO) test -run '^$$' -fuzz "^$$f\$$" -fuzztime $(FUZZ) $$p || exit 1; done; done

programs: ## store and fetch with swift, rclone and curl, those that are installed
	APUS_TEST_PROGRAMS=1 $(GO) test -count=1 -v -run 'TestSwiftClient|TestRclone|TestCurl' ./internal/assembly

sdks: ## store and fetch with the newest SDKs for S3, which are fetched
	APUS_TEST_PROGRAMS=1 $(GO) test -count=1 -v -timeout 30m -run '^TestSDK' ./internal/assembly ./middleware/s3gateway

suites: ## run the suites that authors of client libraries keep for servers, which are fetched; takes minutes
	APUS_TEST_SUITES=1 $(GO) test -count=1 -v -timeout 40m -run '^TestSuite' ./internal/assembly

streaming: ## move gigabytes and look at the memory; takes 5 GiB on the disk and minutes
	APUS_TEST_STREAMING=1 $(GO) test -count=1 -v -timeout 30m -run TestStreaming ./internal/assembly

gatewaycost: ## measure what the S3 gateway costs beside a bare proxy; takes a minute
	APUS_TEST_GATEWAYCOST=1 $(GO) test -count=1 -v -run '^TestGatewayCost$$' ./internal/assembly

browser: ## look at pages and scripts in a real browser, which must be installed
	APUS_TEST_BROWSER=1 $(GO) test -count=1 -v -run '^TestBrowser' ./internal/browser \
	  $$(git grep -l '/internal/browser"' -- '*_test.go' | xargs -r -n1 dirname | sort -u | sed 's,^,./,')

gateway: build ## compare what real S3 clients see of a store and through the gateway, in all ways; takes two hours
	@.ci/gateway-clients --check --store swift --clients virtual --tls
	@status=0; for store in apus swift ceph; do for ways in "" "--addressing virtual" "--clients virtual" "--clients virtual --addressing virtual"; do \
	  for tls in "" --tls; do .ci/gateway-clients --store $$store $$ways $$tls || status=1; done; done; done; exit $$status

bench: ## run the Go benchmarks
	$(GO) test -run '^$$' -bench . -benchmem $(PKGS)

golden: ## rewrite golden files; look at the difference before you commit it
	$(GO) test ./internal/house ./internal/bench ./internal/convert ./internal/testcluster ./middleware/pipeline ./middleware/s3api \
	  ./middleware/s3gateway ./ring/builder -update

clean: ## remove what was built
	rm -rf bin
