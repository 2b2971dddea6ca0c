"""A kind of nobody's, with its replicas where no other kind has them: what an admin may let the operator scale."""

from typing import Any

GROUP, VERSION = "example.com", "v1"
WIDGET = {"apiVersion": f"{GROUP}/{VERSION}", "kind": "Widget"}


def widget(namespace: str, name: str, count: int = 1) -> dict[str, Any]:
    """A Widget; nothing acts on it, so its status stays what a test writes."""
    return {**WIDGET, "metadata": {"namespace": namespace, "name": name}, "spec": {"scaling": {"count": count}}}


def widget_crd(*, scale: bool = True) -> dict[str, Any]:
    """The CRD of Widgets; `scale` whether it has the subresource."""
    anything = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    paths = {"specReplicasPath": ".spec.scaling.count", "statusReplicasPath": ".status.running"}
    subresources: dict[str, Any] = {"status": {}, **({"scale": paths} if scale else {})}
    count = {"type": "object", "properties": {"count": {"type": "integer"}}}
    fields = {"spec": {"type": "object", "properties": {"scaling": count}}, "status": anything}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"widgets.{GROUP}"},
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {"plural": "widgets", "singular": "widget", "kind": "Widget"},
            "versions": [
                {
                    "name": VERSION,
                    "served": True,
                    "storage": True,
                    "subresources": subresources,
                    "schema": {"openAPIV3Schema": {"type": "object", "properties": fields}},
                }
            ],
        },
    }
