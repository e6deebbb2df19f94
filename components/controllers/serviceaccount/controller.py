"""Keeps a default ServiceAccount in every namespace: pods that name no other run as it."""

from __future__ import annotations

from components.client.resources import SERVICE_ACCOUNTS
from components.controllers.common.context import ControllerContext
from components.controllers.common.pernamespace import PerNamespace
from components.controllers.serviceaccount.plan import NAME, desired


def service_account_controller(context: ControllerContext) -> PerNamespace:
    return PerNamespace(context, "serviceaccount-controller", SERVICE_ACCOUNTS, NAME, desired)
