# Lictor. `make demo` and `make test` are all a newcomer needs.

VERSION  ?= 0.1.0-dev
REVISION ?= $(shell git rev-parse --short HEAD 2>/dev/null)
DATE     ?= $(shell git log -1 --format=%cI 2>/dev/null)
PKG       = github.com/lictor-mesh/lictor
LDFLAGS   = -s -w -X $(PKG)/version.own=$(VERSION) -X $(PKG)/version.revision=$(REVISION) -X $(PKG)/version.buildDate=$(DATE)
GOBUILD   = CGO_ENABLED=0 go build -trimpath -ldflags '$(LDFLAGS)'
COMPOSE   = $(shell docker compose version >/dev/null 2>&1 && echo docker compose || echo docker-compose)
PLATFORMS = linux/amd64 linux/arm64 darwin/amd64 darwin/arm64 windows/amd64 windows/arm64

.PHONY: build demo demo-check test lint unit generate fuzz bench compose compose-down compose-check compose-image release clean

build: ## bin/lictor, static
	@$(GOBUILD) -o bin/lictor ./cmd/lictor

demo: build ## the demo mesh on loopback, until Ctrl-C
	@bin/lictor demo

demo-check: build ## the demo's scenario by itself
	@bin/lictor demo -check

test: lint unit ## everything a change has to pass

lint: ## gofmt, vet, staticcheck
	@test -z "$$(gofmt -l . | tee /dev/stderr)" || { echo 'gofmt: run gofmt -w on the files above'; exit 1; }
	go vet ./...
	go tool staticcheck ./...

unit: build ## unit tests, in-process clusters and real processes, with the race detector
	LICTOR_TEST_BINARY=$(CURDIR)/bin/lictor CGO_ENABLED=1 go test -race -timeout 15m ./...

generate: ## msgpack codecs and the CLI's pages
	go generate ./...

fuzz: ## each fuzz target for a while (FUZZTIME)
	@go run ./internal/fuzzall -time $(or $(FUZZTIME),30s)

bench: build ## figures beside haproxy and nginx, see docs/benchmarks.md
	@go run ./bench $(BENCH)

compose-image: build
	@docker build -q -t lictor:local -f examples/compose/Dockerfile bin

compose: compose-image ## the demo mesh in containers, until `make compose-down`
	@$(COMPOSE) up -d
	@echo 'web answers at http://127.0.0.1:9001/, the server at http://127.0.0.1:8500/; `make compose-down` ends it'

compose-down: ## ends the containers' mesh and removes its data
	@$(COMPOSE) down -v --remove-orphans

compose-check: build ## proves the containers' mesh and takes it down
	@examples/compose/check

release: ## dist/, every platform
	@mkdir -p dist
	@for p in $(PLATFORMS); do \
	  os=$${p%/*}; arch=$${p#*/}; ext=; [ $$os = windows ] && ext=.exe; \
	  echo "lictor_$(VERSION)_$${os}_$$arch$$ext"; \
	  GOOS=$$os GOARCH=$$arch $(GOBUILD) -o dist/lictor_$(VERSION)_$${os}_$$arch$$ext ./cmd/lictor || exit 1; \
	done
	@cd dist && sha256sum lictor_$(VERSION)_* > SHA256SUMS

clean:
	rm -rf bin dist
