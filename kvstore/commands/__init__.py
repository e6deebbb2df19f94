"""Subcommands of `kvstore`: `kvstore/commands/NAME.py` has `main(arguments) -> exit code` for `kvstore NAME`.

They are clients and offline tools; none of them is part of a running member. Flags and environment are
etcdctl's where etcdctl has them.
"""
