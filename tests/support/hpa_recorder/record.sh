#!/usr/bin/env bash
# record.sh: ask the real HPA controller of the lab's Kubernetes and write ../hpa_recorded.json. Takes about a minute.
# The package keeps its arithmetic to itself, so a copy of the module gets export.go beside it.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
tools=$here/../../../operator/baseload/lab/tools/kubernetes
work=$(mktemp -d)
trap 'chmod -R u+w "$work"; rm -rf "$work"' EXIT
module=$(cd "$tools" && go list -m -f '{{.Dir}}' k8s.io/kubernetes)
cp -r "$module" "$work/kubernetes"
chmod -R u+w "$work/kubernetes"
cp "$here/export.go" "$work/kubernetes/pkg/controller/podautoscaler/exported_for_record.go"
mkdir "$work/cmd"
cp "$here/main.go" "$work/cmd/"
sed -e '/^tool (/,/^)/d' -e 's/^module .*/module recorder/' "$tools/go.mod" >"$work/go.mod"
cp "$tools/go.sum" "$work/"
echo 'replace k8s.io/kubernetes => ./kubernetes' >>"$work/go.mod"
(cd "$work" && GOFLAGS=-mod=mod go run ./cmd) >"$here/../hpa_recorded.json"
