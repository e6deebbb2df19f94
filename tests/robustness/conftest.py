"""Clusters that are going to be hurt: the default topology, each test module with one of its own."""

from __future__ import annotations

from tests.e2e.conftest import cluster

__all__ = ["cluster"]
