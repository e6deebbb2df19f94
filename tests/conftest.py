"""Settings of every test."""

from __future__ import annotations

from importlib.metadata import entry_points

from hypothesis import HealthCheck, settings

PLUGIN = "components.testing.plugin"
INSTALLED = any(found.value == PLUGIN for found in entry_points(group="pytest11"))
# A tree whose entry points have not been installed anew since the plugin came has it all the same.
pytest_plugins = [] if INSTALLED else [PLUGIN]

# How long an example takes says something about the machine, not about the product.
settings.register_profile(
    "kuberaft", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)
settings.load_profile("kuberaft")
