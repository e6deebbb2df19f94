"""Encryption at rest: values of chosen resources are ciphertext in the store, and plain everywhere else.

Flow: a file (``--encryption-provider-config``) → ``configuration`` (checked, in the original's words) → ``providers``
(which resource is written with which key, and read with which others) → ``storage``, a `Storage` around the one that
keeps the bytes. ``transformers`` finds the provider of a stored value by its prefix, ``ciphers`` are the algorithms.

The stored form is the original's, so a kube-apiserver with the same file reads what is written here, and the other way
round: ``k8s:enc:aesgcm:v1:KEYNAME:`` and then what the cipher made. For AES-GCM the key of the value in the store is
authenticated with it: a value that was moved to another key is refused.
"""
