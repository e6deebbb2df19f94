"""Files of the group ``apiserver.config.k8s.io`` that flags name: read strictly, and read again when they change.

``reading`` turns bytes into a checked document, by the shapes in ``data/shapes.json``; ``following`` looks for changes.
What a document means is said where it is used: ``storage.encryption``, ``auth.structured``, ``auth.configured``.
"""
