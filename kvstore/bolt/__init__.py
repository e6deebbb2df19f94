"""etcd's database file (bbolt): written from a member's state, read from any etcd's snapshot."""
