"""(P) Server-side apply: who owns which field, and what follows from it when somebody writes.

Fed by `apiserver.http.rest.ownership`, which knows resources, users and the clock; the objects that come out go on
to admission. From the bottom up:

    elements   one step of a path: a field, a list item by key, an item of a set
    fieldset   sets of paths, in the very form that `fieldsV1` has
    atoms      how a type is owned: field by field or as a whole; lists by key, as sets or as a whole
    typed      values against types: errors, and the paths that a value mentions
    compare · merge · remove · reconcile   the walks over one or two values
    managed    `metadata.managedFields`, read and written
    updater    ownership after an update or an apply; conflicts; what an applier left out goes
    manager    the steps around it, in the original's order
    scale      ownership of replicas seen through the scale subresource

Follows sigs.k8s.io/structured-merge-diff v6 and apimachinery's `pkg/util/managedfields`.
"""
