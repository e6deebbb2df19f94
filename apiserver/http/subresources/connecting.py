"""Admission of CONNECT: exec, attach, port-forward and the proxies are asked for with options, which plugins may see.

Called by the handlers of these subresources when the options have been read and before anything is connected.
"""

from __future__ import annotations

from copy import deepcopy

from apiserver.admission.interface import CONNECT
from apiserver.http.rest.call import Call
from apiserver.http.scope import Exchange, Object


async def admitted(exchange: Exchange, options: Object) -> Object:
    """The options as admission leaves them. ``options``: fields of the subresource's kind. Raises StatusError."""
    info, resource = exchange.info, exchange.resource
    gvk = resource.subresources[info.subresource].gvk
    call = Call(
        exchange.services,
        resource,
        exchange.user,
        warn=exchange.warn,
        annotate=exchange.annotate,
        subresource=info.subresource,
    )
    obj = {"kind": gvk.kind, "apiVersion": gvk.group_version, **deepcopy(options)}
    write = call.attributes(CONNECT, info.namespace, info.name, obj, None)
    write.gvk = gvk
    await exchange.services.admission.admit(write)
    await exchange.services.admission.validate(write)
    return write.obj or obj
