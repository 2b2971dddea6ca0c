#!/usr/bin/env bash
# record.sh: let the real Knative autoscaler tick and write ../kpa_recorded.json. Takes half a minute.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp "$here/main.go" "$work/"
cd "$work"
go mod init recorder
go get knative.dev/serving@v0.48.0
GOFLAGS=-mod=mod go run . >"$here/../kpa_recorded.json"
