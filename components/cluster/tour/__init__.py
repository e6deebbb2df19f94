"""`kuberaft tour`: the project's walkthrough, narrated, on a running cluster or on one of its own."""
