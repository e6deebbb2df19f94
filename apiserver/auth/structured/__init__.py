"""Authentication and authorization as files say, instead of flags: ``AuthenticationConfiguration`` and
``AuthorizationConfiguration`` of ``apiserver.config.k8s.io``.

Flow: ``config_files.reading`` gives a document; ``jwt_rules`` and ``authorizer_rules`` check it in the original's
words; ``claim_mapping`` makes users of the claims of tokens, for ``auth.oidc``; ``match_conditions`` says whether a
webhook is asked, ``webhook`` asks it, for ``auth.authorizer``. ``expressions`` is what all of them know of CEL. What
is read again while the server runs is put in place by ``setup``.
"""
