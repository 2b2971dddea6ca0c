"""Asking the API server what the operator's account may do; nothing is stored by that."""

import asyncio
from collections.abc import Sequence
from typing import Any, Final

from kubernetes.aio import client

from baseload.act.calls import call_api
from baseload.doctor.access import Unread, brief
from baseload.doctor.facts import Review
from baseload.doctor.manifests import ACCOUNT, Right
from baseload.errors import ApiError, ForbiddenError

AT_ONCE: Final = 8
SECONDS: Final = 15.0


async def review(
    api_client: client.ApiClient, operator_namespace: str, wanted: Sequence[Right]
) -> tuple[Review, ...] | Unread:
    """Review each right: as oneself when these are the operator's own credentials, else in its name."""
    reviewer = _Reviewer(api_client, operator_namespace)
    try:
        await reviewer.introduce()
        answers = await asyncio.gather(*(reviewer.allowed(right) for right in wanted))
    except ForbiddenError as error:
        return Unread(f"you may not create subjectaccessreviews, so its rights are not known ({brief(error)})")
    except ApiError as error:
        return Unread(brief(error))
    return tuple(Review(right, allowed) for right, allowed in zip(wanted, answers, strict=True))


class _Reviewer:
    """Asks about one account, a few questions at once."""

    def __init__(self, api_client: client.ApiClient, namespace: str) -> None:
        self._authorization = client.AuthorizationV1Api(api_client)
        self._authentication = client.AuthenticationV1Api(api_client)
        self._user = f"system:serviceaccount:{namespace}:{ACCOUNT}"
        self._groups = ["system:serviceaccounts", f"system:serviceaccounts:{namespace}", "system:authenticated"]
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._is_self = False

    async def introduce(self) -> None:
        """Find out whether we are that account ourselves."""
        answer = await self._call(
            "who am I",
            lambda: self._authentication.create_self_subject_review(
                client.V1SelfSubjectReview(), _request_timeout=SECONDS
            ),
        )
        self._is_self = answer.status.user_info.username == self._user

    async def allowed(self, right: Right) -> bool:
        """Whether the account has a right."""
        attributes = client.V1ResourceAttributes(
            group=right.group,
            resource=right.resource,
            subresource=right.subresource,
            verb=right.verb,
            name=right.name,
            namespace=right.namespace,
        )
        async with self._slots:
            answer = await self._call(f"review of {right}", lambda: self._create(attributes))
        return bool(answer.status.allowed)

    def _create(self, attributes: client.V1ResourceAttributes) -> Any:  # noqa: ANN401 - an awaitable of the client
        if self._is_self:
            mine = client.V1SelfSubjectAccessReview(
                spec=client.V1SelfSubjectAccessReviewSpec(resource_attributes=attributes)
            )
            return self._authorization.create_self_subject_access_review(mine, _request_timeout=SECONDS)
        spec = client.V1SubjectAccessReviewSpec(resource_attributes=attributes, user=self._user, groups=self._groups)
        other = client.V1SubjectAccessReview(spec=spec)
        return self._authorization.create_subject_access_review(other, _request_timeout=SECONDS)

    async def _call(self, what: str, send: Any) -> Any:  # noqa: ANN401 - the client is untyped
        async def nothing() -> None:
            """Credentials are not read again: one look is all."""

        return await call_api(what, send, nothing)
