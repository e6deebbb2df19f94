"""Publishes the cluster's CA certificate in every namespace."""

from __future__ import annotations

from functools import partial

from components.client.resources import CONFIG_MAPS
from components.controllers.common.context import ControllerContext
from components.controllers.common.pernamespace import PerNamespace
from components.controllers.rootca.plan import NAME, desired


def root_ca_publisher(context: ControllerContext) -> PerNamespace:
    wanted = partial(desired, context.options.root_ca)
    return PerNamespace(context, "root-ca-certificate-publisher-controller", CONFIG_MAPS, NAME, wanted)
