"""`python -m components.cluster` is the `kuberaft` command."""

from components.cluster.cli import main

main()
