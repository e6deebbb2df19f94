"""The `kvstore` process: etcd's flags around one `kvstore.member.Member`, and the ports its clients use.

flags (flags.json) -> settings -> app: Member
                                    |- rpc: kvstore.rpc on a private socket (or its own port)
                                    |- web: JSON gateway, health, version, metrics on another
                                    `- front: the client port, which pumps a connection to one of the two
"""
