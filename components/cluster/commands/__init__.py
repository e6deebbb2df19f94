"""The subcommands of `kuberaft`, one a file. Each is a thin shell around the modules above this package."""
