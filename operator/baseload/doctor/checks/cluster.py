"""Checks of the API server and of what an admin installs in it."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from baseload.api.base import VERSION
from baseload.api.crdgen import KINDS, custom_resource_definition
from baseload.doctor.access import Raw, Unread
from baseload.doctor.facts import Facts, Server, Trouble
from baseload.doctor.finding import Finding, fault, skipped, warning
from baseload.doctor.manifests import ACCOUNT, documents
from baseload.doctor.manifests import rights as manifest_rights

LEAST_VERSION: Final = (1, 30)
SKEW_WARNING_SECONDS: Final = 5.0
APPLY_RIGHTS: Final = "kubectl apply -f manifests/rbac.yaml"
GRANT_KIND: Final = "kubectl apply -f manifests/targets/FILE.yaml, one with rules for that kind, as any-kind.yaml shows"
APPLY_KINDS: Final = "kubectl apply -f crds/"
APPLY_POLICY: Final = "kubectl apply -f manifests/policy.yaml"
SHOWN_DIFFERENCES: Final = 3

API_REMEDIES: Final[Mapping[Trouble, str]] = {
    Trouble.CREDENTIALS: "kubectl config get-contexts, then pass --kubeconfig FILE and --context NAME",
    Trouble.TLS: "kubectl config view --minify: the certificate-authority must be the one of that server",
    Trouble.REFUSED: "kubectl auth whoami; get fresh credentials, for example by kubectl create token",
}


def api_server(facts: Facts) -> Iterator[Finding]:
    """It answers, accepts the credentials and is new enough."""
    api = facts.api
    if api.trouble is not None:
        remedy = API_REMEDIES.get(
            api.trouble, "kubectl cluster-info; see network, VPN and the server of the kubeconfig"
        )
        yield fault(
            api.url, api.detail if api.trouble is Trouble.CREDENTIALS else f"{api.trouble.value}: {api.detail}", remedy
        )
    elif _number(api.version) < LEAST_VERSION:
        least = ".".join(str(part) for part in LEAST_VERSION)
        yield fault("", f"Kubernetes is {api.version}, and Baseload needs {least}", f"upgrade the cluster to {least}")


def clocks(facts: Facts) -> Iterator[Finding]:
    """The clocks of the API server, Prometheus and this machine agree."""
    skew = facts.api.skew_seconds
    if skew is None:
        yield skipped("the API server's clock is not known")
        return
    remedy = "chronyc tracking (or timedatectl) on the machine that is off; let NTP set its clock"
    if abs(skew) > SKEW_WARNING_SECONDS:
        found = f"the API server's clock is {skew:+.0f} s from this machine's"
        yield warning("this machine", f"{found}; an operator that runs here would see samples as stale", remedy)
    server = facts.metrics.server if not isinstance(facts.metrics, Unread) else Server("")
    if server.skew_seconds is not None:
        between = server.skew_seconds - skew
        if abs(between) > min(SKEW_WARNING_SECONDS, facts.scrape_seconds):
            found = f"Prometheus' clock is {between:+.0f} s from the API server's, so samples look stale or too new"
            yield fault("Prometheus", found, remedy)


def kinds(facts: Facts) -> Iterator[Finding]:
    """Our kinds are installed, and as this version knows them."""
    if isinstance(facts.definitions, Unread):
        yield skipped(facts.definitions.why)
        return
    for kind in KINDS:
        ours = custom_resource_definition(kind)
        name = ours["metadata"]["name"]
        theirs = facts.definitions.get(name)
        if theirs is None:
            yield fault(name, "the kind is not installed", APPLY_KINDS)
        else:
            yield from _kind(name, ours, theirs)


def _kind(name: str, ours: Raw, theirs: Raw) -> Iterator[Finding]:
    versions = {v["name"]: v for v in theirs["spec"]["versions"]}
    if not versions.get(VERSION, {}).get("served"):
        yield fault(name, f"version {VERSION} is not served, only {', '.join(sorted(versions))}", APPLY_KINDS)
        return
    established = [c for c in (theirs.get("status") or {}).get("conditions") or () if c["type"] == "Established"]
    if not any(c["status"] == "True" for c in established):
        yield fault(name, "the API server has not established the kind", f"kubectl describe crd {name}")
    mine, other = (_schema(definition) for definition in (ours, theirs))
    missing, more = differences(mine, other), differences(other, mine)
    if missing:
        found = f"CRDVersionMismatch: {_some(missing)} not as this version has it; unknown fields are dropped silently"
        yield fault(name, found, APPLY_KINDS)
    elif more:
        found = f"CRDVersionMismatch: {_some(more)} not known to this version; the kind is newer than this command"
        yield warning(name, found, "use the command and the operator of the version that installed the kind")


def differences(ours: Mapping[str, Any], theirs: Mapping[str, Any], path: str = "") -> list[str]:
    """Paths of what stands in one schema and not equally in the other; descriptions do not count."""
    found: list[str] = []
    for key, value in ours.items():
        here = path if key in ("properties", "items") else f"{path}.{key}"
        # The API server drops an empty map, such as the properties of an object without any.
        if (key == "description" and isinstance(value, str)) or (value == {} and key not in theirs):
            continue
        other = theirs.get(key)
        if isinstance(value, Mapping) and isinstance(other, Mapping):
            found += differences(value, other, here)
        elif value != other:
            found.append(here)
    return found


def account(facts: Facts) -> Iterator[Finding]:
    """The operator's ServiceAccount is there."""
    if isinstance(facts.account, Unread):
        yield skipped(facts.account.why)
    elif facts.account is None:
        yield fault(f"{facts.operator_namespace}/{ACCOUNT}", "the ServiceAccount does not exist", APPLY_RIGHTS)


def rights(facts: Facts) -> Iterator[Finding]:
    """The operator's ServiceAccount has every right that it uses."""
    if isinstance(facts.reviews, Unread) or facts.account is None:
        yield skipped(facts.reviews.why if isinstance(facts.reviews, Unread) else "there is no ServiceAccount")
        return
    own = {(right.group, right.resource) for right in manifest_rights()}
    for review in facts.reviews:
        if not review.allowed:
            right = review.right
            where = f" in namespace '{right.namespace}'" if right.namespace else ""
            remedy = APPLY_RIGHTS if (right.group, right.resource) in own else GRANT_KIND
            yield fault(str(right), f"the operator's ServiceAccount may not do this{where}", remedy)


def policies(facts: Facts) -> Iterator[Finding]:
    """The admission policies are there, bound, and deny."""
    gap = next((f for f in (facts.policies, facts.bindings) if isinstance(f, Unread)), None)
    if gap is not None:
        yield skipped(gap.why)
        return
    for ours in documents("policy.yaml"):
        is_binding = ours["kind"].endswith("Binding")
        found = _named(facts.bindings if is_binding else facts.policies, ours["metadata"]["name"])
        name = f"{ours['kind']} {ours['metadata']['name']}"
        if found is None:
            risk = "not installed: a tenant could make the operator scale what he may not touch himself"
            yield warning(name, risk, APPLY_POLICY)
        elif is_binding and "Deny" not in found["spec"].get("validationActions", ()):
            yield warning(name, "does not deny, it only audits or warns", APPLY_POLICY)
        elif not is_binding and _expressions(ours) != _expressions(found):
            yield warning(name, "has other rules than this version's", APPLY_POLICY)


def _named(objects: object, name: str) -> Raw | None:
    rows: tuple[Raw, ...] = objects if isinstance(objects, tuple) else ()
    return next((o for o in rows if o["metadata"]["name"] == name), None)


def _expressions(policy: Raw) -> list[str]:
    return [" ".join(str(v["expression"]).split()) for v in policy["spec"].get("validations") or ()]


def _schema(definition: Raw) -> Mapping[str, Any]:
    version = next(v for v in definition["spec"]["versions"] if v["name"] == VERSION)
    schema: Mapping[str, Any] = version["schema"]["openAPIV3Schema"]
    return schema


def _some(paths: list[str]) -> str:
    shown = ", ".join(f"`{path.lstrip('.')}`" for path in sorted(paths)[:SHOWN_DIFFERENCES])
    more = len(paths) - SHOWN_DIFFERENCES
    return f"{shown} and {more} more are" if more > 0 else f"{shown} {'is' if len(paths) == 1 else 'are'}"


def _number(version: str) -> tuple[int, int]:
    """Major and minor of `v1.37.2+k3s1`; what cannot be read counts as new enough."""
    parts = version.lstrip("v").split(".")
    try:
        return int(parts[0]), int("".join(c for c in parts[1] if c.isdigit()))
    except (IndexError, ValueError):
        return LEAST_VERSION
