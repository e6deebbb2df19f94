"""One keyspace followed by another, ours or etcd's on either side: `kvstore mirror`.

plan      (pure) which operations a batch of keys or events becomes, and when it is full
state     the file that remembers how far a mirror has come
copy      all keys as of one revision
follow    every change after it
"""
