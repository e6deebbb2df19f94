"""Admission: what may be stored beyond what validation says, and what is filled in from other objects.

Stands between decoding and the strategy in every write (`apiserver.http` handlers call it): `Chain.admit`
may change the object, `Chain.validate` may only refuse it. Plugins are one file each and do not know each
other; `chain.default_chain` lists them in the original's order.
"""
