"""The Common Expression Language as Kubernetes uses it: rules of custom resources, and admission policies.

Flow: ``environment`` (variables and their types) compiles a text: ``lexer`` → ``parser`` (macros become
loops) → ``compiler`` (types and overloads, errors as cel-go words them) → ``evaluator`` (closures over plain
Python values, every step counted against a budget). ``library`` holds the functions, one file a family, each
with its signature, what it does and what it costs. Nothing here knows of schemas, requests or the API server;
all of it is pure but for the caller's own check of time.

Why not a library: see the table of dependencies in docs/design.md. ``common-expression-language`` is the twin
that the tests compare this with.
"""
