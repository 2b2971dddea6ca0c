#!/bin/sh
# Create the kind cluster "baseload" with Baseload's CRDs and manifests. Needs Docker, Go 1.26 and kubectl.
# A second run finds the cluster and brings it up to date. Remove it with: build/kind/kind delete cluster --name baseload
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
kind=$root/build/kind/kind
context=kind-baseload
accelerators=4

docker info >/dev/null 2>&1 || {
  echo "kind needs a running Docker; without one use: baseload lab up" >&2
  exit 1
}
mkdir -p "$root/build/kind"
(cd "$here" && CGO_ENABLED=0 GOWORK=off go build -trimpath -o "$root/build/kind/" tool)

if ! "$kind" get clusters | grep -qx baseload; then
  "$kind" create cluster --config "$here/cluster.yaml" --wait 120s
fi

# An extended resource that is written into a node's status is scheduled like a device plugin's.
for node in $(kubectl --context "$context" get nodes -l baseload.dev/pool=owned -o name); do
  kubectl --context "$context" patch "$node" --subresource=status --type=merge \
    -p "{\"status\":{\"capacity\":{\"nvidia.com/gpu\":\"$accelerators\"}}}"
done

kubectl --context "$context" apply --server-side -f "$root/crds/"
kubectl --context "$context" apply --server-side -f "$root/manifests/"
kubectl config use-context "$context"
echo "ready: BASELOAD_TEST_CLUSTER=kind .venv/bin/pytest tests"
