"""KEDA's ScaledObjects: watched where they exist and the right to see them was granted; elsewhere no failure."""

from baseload.api.reasons import Reason
from baseload.observe.connection import KubeConnection
from baseload.observe.discovery import denied, served
from baseload.observe.objects import Autoscaler, scaled_object
from baseload.observe.optional_watch import Collection
from baseload.plan.snapshot import Refusal

API_VERSION = "keda.sh/v1alpha1"
PLURAL = "scaledobjects"


async def find_scaled_objects(connection: KubeConnection) -> Collection[Autoscaler] | Refusal:
    """Where ScaledObjects are listed, or that there are none to see; raises ApiError when nobody could say."""
    if not any(resource["name"] == PLURAL for resource in await served(connection, API_VERSION)):
        return Refusal(Reason.TARGET_KIND_UNKNOWN, "KEDA is not installed")
    if await denied(connection, "keda.sh", (("list", PLURAL, ""), ("watch", PLURAL, ""))):
        message = "ScaledObjects are not seen, only the autoscalers that KEDA makes of them"
        return Refusal(Reason.TARGET_FORBIDDEN, f"{message}; apply manifests/targets/keda.yaml")
    return Collection(f"/apis/{API_VERSION}/{PLURAL}", scaled_object)
