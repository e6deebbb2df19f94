"""Exceptions become Status objects: the only place where that happens."""

from __future__ import annotations

import logging

from aiohttp import web

from apiserver.api import codec, errors
from apiserver.api.errors import StatusError
from apiserver.http import responders
from apiserver.http.filters.interface import Handler
from apiserver.http.scope import Exchange, Services
from apiserver.storage.cacher import NotYet
from apiserver.storage.interface import StorageError, Undecodable

log = logging.getLogger(__name__)


def with_errors(services: Services, handler: Handler) -> Handler:
    async def handle(exchange: Exchange) -> web.StreamResponse:
        try:
            return await handler(exchange)
        except StatusError as exc:
            return responders.error(exchange, exc)
        except NotYet as exc:
            return responders.error(exchange, errors.too_large_resource_version(exc.current, exc.asked))
        except (Undecodable, codec.Encrypted) as exc:
            return responders.error(exchange, errors.internal(str(exc)))
        except StorageError as exc:
            return responders.error(exchange, errors.service_unavailable(f"the store cannot answer: {exc}"))
        except ConnectionError:
            raise  # the client is gone: nobody is left to be told
        except Exception as exc:
            log.exception("%s %s failed", exchange.request.method, exchange.info.path)
            exchange.panic = f"{type(exc).__name__}: {exc}"
            return responders.error(exchange, errors.internal(exchange.panic))

    return handle
