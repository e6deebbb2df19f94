"""Custom resources: what a CustomResourceDefinition says, and the resources it makes.

Flow, from a stored definition to a served resource::

    POST customresourcedefinitions → registry/kinds/apiextensions (strategy) → validation, structural_rules,
                                     schema_rules, default_rules, rule_checks: refuse in the original's words
    watch cache of definitions     → controller: naming (which names are accepted) and conditions, written by
                                     compare-and-swap; deletion of the instances of a definition that goes
                                   → definition (summary of a definition, schemas read when first needed)
                                   → resources: one registry ``Resource`` for each served version, swapped in at once
    request for a custom resource  → the handlers of every resource, with the services of the resource's view: storage
                                     and caches that speak its version (view, conversion, webhook)
                                   → schema.Schemas: custom_type (pruning, metadata) while the body is decoded
                                   → strategy: defaulting, values (+ formats, patterns), list_types, rules (CEL)

Pure are all but controller, view, webhook. ``structural`` is the compiled schema that everything else walks;
``api_type`` turns it into the types that apply and patches work with, ``openapi`` into what clients download.

Left out: the store (a custom object is stored as any other), authorization, garbage collection and the deletion of
namespaces, which know custom resources by discovery alone.
"""
