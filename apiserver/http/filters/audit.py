"""Keeps the audit log: what a request asked for, as whom, and what was answered.

After authentication, so that the user is known, and around everything else. A request whose credentials were refused is
kept by ``with_failed_authentication_audit``. Whoever the user is once the request is done, if it is another, is the
impersonated one.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

from aiohttp import web

from apiserver.api.errors import StatusError
from apiserver.audit.event import SHOWN, Body, Entry, Record, agent, source_ips
from apiserver.auth.rbac import Attributes
from apiserver.http.filters.authorization import attributes
from apiserver.http.filters.headers import AUDIT_ID
from apiserver.http.filters.interface import Handler, long_running
from apiserver.http.scope import Exchange, Services

_EARLY: Final = "Connection closed early"
_TRIED: Final = "Authentication failed, attempted: bearer"
_NOTHING_TRIED: Final = "Authentication failed, no credentials provided"


def with_audit(services: Services, handler: Handler) -> Handler:
    sink, policy, metrics = services.audit_log, services.audit_policy, services.metrics
    assert sink is not None
    assert policy is not None

    async def handle(exchange: Exchange) -> web.StreamResponse:
        asked = attributes(exchange)
        rule = policy.rule_of(asked)
        metrics.audit_levels[rule.level] += 1
        if rule.level == "None":
            return await handler(exchange)
        record = _record(exchange, asked, rule.level)
        record.omit_managed_fields = rule.omit_managed_fields

        def put(stage: str, code: int = 0, message: str = "", response: Body | None = None) -> None:
            if stage not in rule.omit_stages:
                at = record.received if stage == "RequestReceived" else _time(services.now())
                sink.put(Entry(record, stage, at, code, message, response))

        def begun(code: int) -> None:
            _complete(exchange, record)
            put("ResponseStarted", code)

        if long_running(exchange.info):
            exchange.on_begun = begun
        put("RequestReceived")
        try:
            response = await handler(exchange)
        except BaseException:  # the client has gone, or the server is about to
            _complete(exchange, record)
            put("ResponseComplete", 200, _EARLY)
            raise
        _complete(exchange, record)
        if exchange.panic:
            put("Panic", 500, f"APIServer panic'd: {exchange.panic}")
        else:
            put("ResponseComplete", response.status, response=_answer(response, record.level))
        return response

    return handle


def with_failed_authentication_audit(services: Services, handler: Handler) -> Handler:
    sink, policy = services.audit_log, services.audit_policy
    assert sink is not None
    assert policy is not None

    async def handle(exchange: Exchange) -> web.StreamResponse:
        try:
            return await handler(exchange)
        except StatusError as exc:
            asked = attributes(exchange)
            rule = policy.rule_of(asked)
            if exc.code == 401 and rule.level != "None" and "ResponseStarted" not in rule.omit_stages:
                record = _record(exchange, asked, rule.level)
                tried = "Authorization" in exchange.request.headers
                message = _TRIED if tried else _NOTHING_TRIED
                sink.put(Entry(record, "ResponseStarted", _time(services.now()), 401, message))
            raise

    return handle


def _record(exchange: Exchange, asked: Attributes, level: str) -> Record:
    request, info = exchange.request, exchange.info
    peer = request.transport.get_extra_info("peername") if request.transport is not None else None
    return Record(
        level,
        exchange.headers.get(AUDIT_ID, ""),
        request.rel_url.raw_path_qs,
        info.verb,
        exchange.user,
        source_ips(request.headers, peer[0] if isinstance(peer, tuple) else ""),
        agent(request.headers.get("User-Agent", "")),
        _time(exchange.services.now()),
        _reference(exchange, asked) if info.is_resource else None,
    )


def _reference(exchange: Exchange, asked: Attributes) -> dict[str, str]:
    fields = {
        "resource": asked.resource,
        "namespace": asked.namespace,
        "name": asked.name,
        "apiGroup": asked.group,
        "apiVersion": exchange.info.version,
        "subresource": asked.subresource,
    }
    return {name: value for name, value in fields.items() if value}


def _complete(exchange: Exchange, record: Record) -> None:
    record.annotations = exchange.annotations
    if exchange.user is not record.user:
        record.impersonated = exchange.user
    if exchange.body and record.level in SHOWN:
        record.request = Body(exchange.body, exchange.request.headers.get("Content-Type", "application/json"))


def _answer(response: web.StreamResponse, level: str) -> Body | None:
    """Failures are looked into at every level: their Status says why."""
    if not isinstance(response, web.Response) or not isinstance(response.body, bytes):
        return None
    if level != "RequestResponse" and response.status < 400:
        return None
    headers = response.headers
    return Body(response.body, headers.get("Content-Type", ""), headers.get("Content-Encoding", ""))


def _time(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
